//! One promise a file.
