//! Time limits (T-24 to T-26; checks 57 to 68).
