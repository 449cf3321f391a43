from local_provider import provider  # noqa: F401
from users_questions import asked  # noqa: F401
