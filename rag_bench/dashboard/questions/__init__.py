"""Parts of the page of one question: what models gave, the calls behind it, drafts."""
