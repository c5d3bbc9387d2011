//! Task-locals, the current task, all tasks (T-11 to T-13, T-34; checks 43 to 45, 54).
