//! Single-assignment futures and combinators (F-*, T-22, T-27, T-28; checks 27 to 33, 46 to 51).

mod combinators;
mod promises;
