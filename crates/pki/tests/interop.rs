//! Other people's tools judge our bytes.
