//! Task groups and races (T-16 to T-21; checks 69 to 80).
