//! Life on one GPU node: ractor shells around the decisions of control.
