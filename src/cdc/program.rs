//! jq programs: compiled once, run on each row.

use jaq_core::load::{Arena, Error as LoadError, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data};
use jaq_json::Val;

use super::{functions, json};

/// Values that a program may give for one row: more is a loop that does not end.
pub const OUTPUTS_MAX: usize = 999;

/// What programs do not have of jaq's: a mapping gives the same for the same row, wherever and whenever it runs, and says nothing
/// on the side.
const FUNCTIONS_WITHHELD: [&str; 8] =
    ["now", "env", "halt", "localtime", "strflocaltime", "debug_empty", "stderr_empty", "fromjson"];
const DEFINITIONS_WITHHELD: [&str; 4] = ["debug", "stderr", "halt", "halt_error"];

type Data = data::JustLut<Val>;

/// A compiled program.
pub struct Program {
    /// The file, as the configuration has it.
    file: String,
    text: String,
    filter: Filter<Data>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("file", &self.file).field("text", &self.text).finish_non_exhaustive()
    }
}

/// Why a program failed on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Repeats no value of the row.
    pub message: String,
    /// The whole of it, for whoever is trying the program out.
    pub detail: Option<String>,
}

impl Program {
    /// Compiles a program. Each fault names the file, the line and the column.
    pub fn compile(file: &str, text: &str) -> Result<Program, Vec<String>> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let definitions = definitions.filter(|definition| !DEFINITIONS_WITHHELD.contains(&definition.name));
        let functions = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
        let functions = functions.filter(|(name, ..)| !FUNCTIONS_WITHHELD.contains(name)).chain(functions::all());
        let arena = Arena::default();
        let modules = Loader::new(definitions).load(&arena, File { code: text, path: () });
        let modules = modules.map_err(|errors| {
            let faults = errors.into_iter().flat_map(|(_, error)| match error {
                LoadError::Io(errors) => errors
                    .into_iter()
                    .map(|(part, _)| fault(file, text, part, "modules are not read: put it into this file".into()))
                    .collect::<Vec<_>>(),
                LoadError::Lex(errors) => errors
                    .into_iter()
                    .map(|(expected, part)| fault(file, text, part, format!("{} is expected", expected.as_str())))
                    .collect(),
                LoadError::Parse(errors) => errors
                    .into_iter()
                    .map(|(expected, part)| {
                        let found = if part.is_empty() { " at the end" } else { "" };
                        fault(file, text, part, format!("{} is expected{found}", expected.as_str()))
                    })
                    .collect(),
            });
            faults.collect::<Vec<_>>()
        })?;
        let compiled = Compiler::default().with_funs(functions).compile(modules);
        let filter = compiled.map_err(|errors| {
            let all = errors.into_iter().flat_map(|(_, errors)| errors);
            let faults = all.map(|(name, undefined)| {
                fault(file, text, name, format!("there is no {} `{name}`", undefined.as_str()))
            });
            faults.collect::<Vec<_>>()
        })?;
        Ok(Program { file: file.to_owned(), text: text.to_owned(), filter })
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// Runs the program.
    pub fn run(&self, input: Val) -> Result<Vec<Val>, Failure> {
        // One row must not end the reading of all others, whatever is wrong with the interpreter.
        let run = std::panic::AssertUnwindSafe(|| self.outputs(input));
        let failed = |_| Failure { message: "jq's interpreter panicked on this row".into(), detail: None };
        std::panic::catch_unwind(run).map_err(failed)?
    }

    fn outputs(&self, input: Val) -> Result<Vec<Val>, Failure> {
        let context = Ctx::<Data>::new(&self.filter.lut, Vars::new([]));
        let mut outputs = Vec::new();
        for output in self.filter.id.run((context, input)) {
            match output {
                Ok(_) if outputs.len() == OUTPUTS_MAX => {
                    let message = format!("it gives more than {OUTPUTS_MAX} events for one row");
                    return Err(Failure { message, detail: None });
                }
                Ok(value) => outputs.push(value),
                Err(exception) => {
                    let error = exception.get_err().map(jaq_core::Error::into_val);
                    return Err(self.failure(&error.unwrap_or_default()));
                }
            }
        }
        Ok(outputs)
    }

    /// What a program says of its own may hold anything of the row. What stands in its text does not.
    fn failure(&self, error: &Val) -> Failure {
        let said = json::text(error).map_or_else(|| error.to_string(), str::to_owned);
        let is_own = functions::OWN.iter().any(|start| said.starts_with(start));
        if is_own || !said.is_empty() && self.text.contains(&format!("\"{said}\"")) {
            return Failure { message: said, detail: None };
        }
        let message = "it fails on this row; why may hold values of the row: `staygraph map` shows it".to_owned();
        Failure { message, detail: Some(said) }
    }
}

/// A fault with its place, lines and columns from 1.
fn fault(file: &str, text: &str, part: &str, what: String) -> String {
    // A part of the text, or, at its end, of nothing. The library's own definitions are no part of it.
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    let before = text.get(..start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("{file}:{line}:{column}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(program: &str, input: &str) -> Result<Vec<String>, Failure> {
        let program = Program::compile("test.jq", program).unwrap();
        program.run(json::read(input.as_bytes()).unwrap()).map(|all| all.iter().map(Val::to_string).collect())
    }

    #[test]
    fn faults_have_their_place() {
        for (text, expected) in [
            (".a |\n  frobnicate(1)", "test.jq:2:3: there is no filter `frobnicate`"),
            ("$row", "test.jq:1:1: there is no variable `$row`"),
            ("{\n  a: ", "test.jq:2:6: "),
            (".a | \"x", "test.jq:1:8: "),
            ("now", "test.jq:1:1: there is no filter `now`"),
            ("env", "test.jq:1:1: there is no filter `env`"),
            (".a | debug", "test.jq:1:6: there is no filter `debug`"),
            ("include \"other\"; .", "test.jq:1:10: modules are not read"),
        ] {
            let faults = Program::compile("test.jq", text).unwrap_err();
            assert!(faults[0].starts_with(expected), "{text}: {faults:?}");
        }
    }

    #[test]
    fn programs_have_jqs_functions_and_ours() {
        let program = r#".a | ascii_downcase, test("^A"), sub("b"; "c"), ("1.5" | minor("EUR")),
            ("2024-05-01T14:00:00" | instant("Asia/Singapore")), ([3, 1] | sort | @base64 "\(.)"), (1.5 | floor)"#;
        let expected = [r#""ab""#, "true", r#""Ac""#, "150", r#""2024-05-01T06:00:00Z""#, r#""WzEsM10=""#, "1"];
        assert_eq!(run(program, r#"{"a":"Ab"}"#).unwrap(), expected);
    }

    #[test]
    fn failures_hold_no_value_of_the_row() {
        let row = r#"{"name":"Ann Onym"}"#;
        for program in ["error(.name)", "error(\"bad: \\(.name)\")", ".name.first", ".name + 1", "error(.)"] {
            let failure = run(program, row).unwrap_err();
            assert!(!failure.message.contains("Ann"), "{program}: {failure:?}");
            assert!(failure.detail.is_some_and(|detail| detail.contains("Ann")), "{program}");
        }
        assert_eq!(run("error(\"an unknown code\")", row).unwrap_err().message, "an unknown code");
        let failure = run(".name | minor(\"SGD\")", row).unwrap_err();
        assert!(failure.message.starts_with("minor: ") && !failure.message.contains("Ann"));
        let failure = run(".name | tonumber", row).unwrap_err();
        assert!(failure.message.starts_with("fromjson: ") && !failure.message.contains("Ann"));
        assert!(run("repeat(1)", row).unwrap_err().message.contains("more than"));
        let deep = format!("{{\"name\":\"{}\"}}", "[".repeat(100_000));
        assert!(run(".name | fromjson", &deep).unwrap_err().message.contains("nested too deep"));
        assert_eq!(run("\"103.902500\" | tonumber", row).unwrap(), ["103.9025"]);
    }
}
