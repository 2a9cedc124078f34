//! Turns queued containers into supervisors and keeps records true.
