//! Queues (Q-*; checks 87 to 92).
