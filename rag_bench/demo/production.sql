-- The tables of the production database, as its migrations leave them (head 86c962b93381).
CREATE EXTENSION vector;

CREATE TYPE holiday_types AS ENUM ('fixed', 'floating');

CREATE TABLE alembic_version (
    version_num varchar(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE chunk (
    id serial PRIMARY KEY,
    confluence_url text NOT NULL,
    text text NOT NULL,
    embedding vector(1024) NOT NULL,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone
);

CREATE TABLE "user" (
    id serial PRIMARY KEY,
    vk_id bigint UNIQUE,
    telegram_id bigint UNIQUE,
    is_subscribed boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone
);

CREATE TABLE question_answer (
    id serial PRIMARY KEY,
    question text NOT NULL,
    embedding vector(1024),
    answer text,
    confluence_url text,
    score integer,
    user_id integer NOT NULL REFERENCES "user" (id),
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone,
    stop_point boolean NOT NULL DEFAULT false
);

CREATE TABLE admin (
    id serial PRIMARY KEY,
    name text NOT NULL,
    surname text NOT NULL,
    last_name text,
    email text NOT NULL UNIQUE,
    department text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone
);

CREATE TABLE holiday_template (
    id serial PRIMARY KEY,
    name text NOT NULL,
    type holiday_types NOT NULL,
    template_llm text NOT NULL,
    vk boolean NOT NULL,
    tg boolean NOT NULL,
    male_holiday boolean NOT NULL,
    female_holiday boolean NOT NULL,
    month integer,
    day integer,
    week_number integer,
    day_of_week integer,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone
);
