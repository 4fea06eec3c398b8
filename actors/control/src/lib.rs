//! Pure decisions on one GPU node: load estimate, shard lifecycle, restart budget.
