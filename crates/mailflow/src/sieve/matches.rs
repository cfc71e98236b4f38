//! Match variables (RFC 5229 section 3.2): `${1}` is of the last test that matched, wherever that stands. The
//! interpreter gives each to the test before it in the text, and forgets it at the end of the block.

use serde_json::{Value, json};

/// Stands before a script with variables, does nothing, and keeps its line: without a test before it, the interpreter
/// takes a match variable for nothing.
pub const TEST: &str = "if header :matches \"x\" \"\" {} else {} ";

/// Makes every test give all match variables that the compiled script reads, and no block forget them.
pub fn change(program: &mut Value) {
    let count = program.get("num_match_vars").and_then(Value::as_u64).unwrap_or(0);
    let all = 1_u64.checked_shl(u32::try_from(count).unwrap_or(u32::MAX)).map_or(u64::MAX, |bit| bit - 1);
    for instruction in program.get_mut("instructions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(clear) = instruction.get_mut("Clear") {
            clear["match_vars"] = json!(0);
        }
        let Some(test) = instruction.get_mut("Test").and_then(Value::as_object_mut) else { continue };
        for kind in test.values_mut().filter_map(|test| test.get_mut("match_type")) {
            for name in ["Matches", "Regex"] {
                if let Some(positions) = kind.get_mut(name) {
                    *positions = json!(all);
                }
            }
        }
    }
}
