//! A figure as `cargo xtask bench` reads it.

use serde_json::json;

/// Says one.
pub(crate) fn say(group: &str, name: &str, value: f64, unit: &str, goal: Option<&str>) {
    let figure = json!({ "group": group, "name": name, "value": value, "unit": unit, "goal": goal });
    println!("lanyard-bench {figure}");
}
