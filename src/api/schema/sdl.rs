//! Definitions as GraphQL writes them.

use std::fmt::Write;

/// A field, an argument or a member of an input: its name, its type, and what it says of itself.
pub struct Member {
    name: String,
    of_type: String,
    says: String,
    arguments: Vec<Member>,
}

/// A member without arguments.
pub fn member(name: &str, of_type: impl Into<String>, says: impl Into<String>) -> Member {
    Member { name: name.to_owned(), of_type: of_type.into(), says: says.into(), arguments: Vec::new() }
}

impl Member {
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = Member>) -> Member {
        self.arguments.extend(arguments);
        self
    }
}

/// A document of definitions.
#[derive(Default)]
pub struct Sdl(String);

impl Sdl {
    pub fn text(self) -> String {
        self.0
    }

    /// Something that no description is for.
    pub fn bare(&mut self, text: &str) {
        self.part();
        self.0 += text;
        self.0.push('\n');
    }

    pub fn scalar(&mut self, name: &str, says: &str, standard: &str) {
        self.part();
        self.says("", says);
        let _ = writeln!(self.0, "scalar {name} @specifiedBy(url: {})", quoted(standard));
    }

    /// A type, an interface or an input: `head` is all before its members.
    pub fn block(&mut self, head: &str, says: &str, members: impl IntoIterator<Item = Member>) {
        self.part();
        self.says("", says);
        let _ = writeln!(self.0, "{head} {{");
        for member in members {
            self.says("  ", &member.says);
            let _ = write!(self.0, "  {}", member.name);
            if !member.arguments.is_empty() {
                self.0.push_str("(\n");
                for argument in &member.arguments {
                    self.says("    ", &argument.says);
                    let _ = writeln!(self.0, "    {}: {}", argument.name, argument.of_type);
                }
                self.0.push_str("  )");
            }
            let _ = writeln!(self.0, ": {}", member.of_type);
        }
        self.0.push_str("}\n");
    }

    pub fn enumeration<'a>(&mut self, name: &str, says: &str, values: impl IntoIterator<Item = (&'a str, String)>) {
        self.part();
        self.says("", says);
        let _ = writeln!(self.0, "enum {name} {{");
        for (value, says) in values {
            self.says("  ", &says);
            let _ = writeln!(self.0, "  {value}");
        }
        self.0.push_str("}\n");
    }

    fn part(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }

    fn says(&mut self, indent: &str, says: &str) {
        match is_block(says) {
            // A reader takes the indentation away again.
            true => {
                let lines =
                    says.lines().map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") });
                let lines: Vec<String> = lines.collect();
                let _ = writeln!(self.0, "{indent}\"\"\"\n{}\n{indent}\"\"\"", lines.join("\n"));
            }
            false => {
                let _ = writeln!(self.0, "{indent}{}", quoted(says));
            }
        }
    }
}

/// Whether a text of several lines comes back from a block string as it was.
fn is_block(text: &str) -> bool {
    let is_plain = |line: &str| !line.starts_with([' ', '\t']) && !line.trim().is_empty();
    text.contains('\n')
        && !text.contains("\"\"\"")
        && !text.contains(['\r', '\u{0}'])
        && !text.ends_with(['\\', '"', '\n'])
        && text.lines().all(|line| line.is_empty() || is_plain(line))
        && text.lines().next().is_some_and(is_plain)
}

/// A text as a string of GraphQL, whose escapes are JSON's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        let texts = [
            "One line.",
            "Two\nlines.",
            "A paragraph.\n\nAnother: \\n stays.",
            " indented\n  more",
            "\n",
            "ends with a newline\n",
            "quotes \"\"\" and more\n\"",
            "a tab\t, a bell\u{7}, a return\r\nand é 😀",
            "ends with \"\nquote\"",
            "ends with \\\nbackslash\\",
            "blank\n \nline",
        ];
        for text in texts {
            let mut sdl = Sdl::default();
            sdl.block("type Query", text, [member("a", "Int", text)]);
            let text_of_all = sdl.text();
            let schema = apollo_compiler::Schema::parse_and_validate(&text_of_all, "x")
                .unwrap_or_else(|error| panic!("{text_of_all}: {error}"));
            let query = schema.get_object("Query").unwrap();
            assert_eq!(query.description.as_deref(), Some(text), "{text_of_all}");
            assert_eq!(query.fields["a"].description.as_deref(), Some(text), "{text_of_all}");
        }
    }
}
