//! What the README shows is what the examples are.

#[test]
fn the_service_in_the_readme_is_the_example_that_runs() {
    let example = include_str!("../examples/hello.rs").trim_end();
    assert!(include_str!("../../README.md").contains(example), "README.md and examples/hello.rs differ");
}
