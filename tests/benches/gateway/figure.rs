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
    judged(group, name, (value, unit), ("under", most), value < most);
}

/// Says one that has to be at least something, and whether it is.
pub(crate) fn say_at_least(group: &str, name: &str, value: f64, unit: &str, least: f64) {
    judged(group, name, (value, unit), ("at least", least), value >= least);
}

fn judged(group: &str, name: &str, (value, unit): (f64, &str), (word, goal): (&str, f64), is_reached: bool) {
    let reached = if is_reached { "reached" } else { "missed" };
    let goal = format!("{word} {goal} {unit}");
    say(group, name, value, unit, Some(&format!("{}: {reached}", goal.trim_end())));
}
