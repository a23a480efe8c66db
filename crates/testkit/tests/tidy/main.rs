//! The rules of the house that a compiler does not check, checked on the real tree: who may depend on whom, what may be written where,
//! and that the documents describe what stands here. Each test says which rule was broken and at which line; mend the code or the document,
//! not the test.

mod arrows;
mod documents;
mod locales;
mod style;
mod tree;
