//! A figure as `cargo xtask bench` reads it.

use serde_json::json;

/// Says one.
pub(crate) fn say(group: &str, name: &str, value: f64, unit: &str, goal: Option<&str>) {
    // A ratio to nothing, where a short turn on a busy machine had no answer.
    let value = if value.is_finite() { value } else { 0.0 };
    let figure = json!({ "group": group, "name": name, "value": value, "unit": unit, "goal": goal });
    println!("lanyard-bench {figure}");
}

/// Says one that has to be under something, and whether it is.
pub(crate) fn say_under(group: &str, name: &str, value: f64, unit: &str, most: f64) {
    let reached = if value < most { "reached" } else { "missed" };
    let most = format!("{most} {unit}");
    say(group, name, value, unit, Some(&format!("under {}: {reached}", most.trim_end())));
}
