"""Who may ask, for what, and how much: keys, tokens, scopes and limits. Knows no HTTP."""
