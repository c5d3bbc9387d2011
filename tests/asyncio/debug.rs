//! Debug mode and introspection (D-*, G-A*, L-58; checks 21, 22, 150).
