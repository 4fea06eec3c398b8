//! A library with NVML's calls, each of which can fail, lie or block: for tests of the code that loads it.
