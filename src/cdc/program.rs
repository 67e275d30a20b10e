//! jq programs: compiled once, run on each row.

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, Error as LoadError, File, Lexer, Loader, Parser};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::Val;

use super::bounds::{self, Bounder, Data, Run};
use super::regex::{self, Expressions};
use super::{functions, json};

/// Values that a program may give for one row: more is a loop that does not end.
pub const OUTPUTS_MAX: usize = 999;

/// What programs do not have of jaq's: a mapping gives the same for the same row, wherever and whenever it runs, and says nothing
/// on the side.
const FUNCTIONS_WITHHELD: [&str; 7] =
    ["now", "env", "halt", "localtime", "strflocaltime", "debug_empty", "stderr_empty"];
const DEFINITIONS_WITHHELD: [&str; 4] = ["debug", "stderr", "halt", "halt_error"];
/// What stands here in another form.
const FUNCTIONS_REPLACED: [&str; 7] =
    ["fromjson", "range", "matches", "split_matches", "split_", "ltrimstr", "rtrimstr"];

/// What jq's manual says, where jaq says otherwise.
const DEFINITIONS: &str = r#"
def join($x):
  reduce .[] as $i (null;
    (if . == null then "" else . + $x end)
    + ($i | if . == null then "" elif type == "boolean" or type == "number" then tojson else . end)
  ) // "";
def ltrimstr($x):
  if type == "string" and ($x | type) == "string" and startswith($x) then .[($x | length):] else . end;
def rtrimstr($x):
  if type == "string" and ($x | type) == "string" and endswith($x) then .[:length - ($x | length)] else . end;
def from_entries: reduce .[] as $x ({}; . + {
    ($x | if .key == null then .k // .name // .Name // .K // .Key else .key end
        | if type == "string" then . else tojson end):
    ($x | if has("value") then .value elif has("v") then .v else .Value end) });
def with_entries(f): to_entries | map(f) | from_entries;
def scan(re; flags): matches(re; "g" + flags)[] | if length > 1 then [.[1:][].string] else .[0].string end;
def scan(re): scan(re; "");
"#;
/// The program, as a definition among jq's own.
const MAIN: &str = "staygraph_program";

/// A compiled program.
pub struct Program {
    /// The file, as the configuration has it.
    file: String,
    text: String,
    filter: Filter<Data>,
    expressions: Expressions,
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
        let own = jaq_core::load::parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
        let library = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let library = library.filter(|definition| !DEFINITIONS_WITHHELD.contains(&definition.name));
        let definitions: Vec<Def<&str>> = library.chain(own).collect();
        let is_kept = |name: &str| !FUNCTIONS_WITHHELD.contains(&name) && !FUNCTIONS_REPLACED.contains(&name);
        let functions = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
        let functions = functions.filter(|(name, ..)| is_kept(name));
        let functions = functions.chain(bounds::functions()).chain(regex::functions()).chain(functions::all());
        let arena = Arena::default();
        // As it stands, for what is wrong with its text alone.
        let loaded = Loader::new(definitions.clone()).load(&arena, File { code: text, path: () });
        loaded.map_err(|errors| unloadable(file, text, errors))?;
        let tokens = Lexer::new(text).lex().unwrap_or_default();
        let body = Parser::new(&tokens).parse(|parser| parser.term());
        let body = body.map_err(|_| vec![fault(file, text, text, "a program is no module".into())])?;
        let names = Arena::default();
        let bounder = Bounder::new(&names);
        let main = Def { name: MAIN, args: Vec::new(), body };
        let definitions: Vec<Def<&str>> =
            definitions.into_iter().chain([main]).map(|definition| bounder.definition(definition)).collect();
        let modules = Loader::new(definitions).load(&arena, File { code: MAIN, path: () });
        let modules = modules.map_err(|errors| unloadable(file, text, errors))?;
        let compiled = Compiler::default().with_funs(functions).compile(modules);
        let expressions = bounder.faults.take().into_iter().map(|(part, what)| fault(file, text, part, what));
        let mut faults: Vec<String> = expressions.collect();
        match compiled {
            Ok(filter) if faults.is_empty() => {
                let (file, text) = (file.to_owned(), text.to_owned());
                return Ok(Program { file, text, filter, expressions: Expressions::default() });
            }
            Ok(_) => {}
            Err(errors) => {
                let all = errors.into_iter().flat_map(|(_, errors)| errors);
                faults.extend(all.map(|(name, undefined)| {
                    fault(file, text, name, format!("there is no {} `{name}`", undefined.as_str()))
                }));
            }
        }
        Err(faults)
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// Runs the program.
    pub fn run(&self, input: Val) -> Result<Vec<Val>, Failure> {
        // One row must not end the reading of all others, whatever is wrong with the interpreter.
        let run = std::panic::AssertUnwindSafe(|| stacker::grow(bounds::STACK_BYTES, || self.outputs(input)));
        let failed = |_| Failure { message: "jq's interpreter panicked on this row".into(), detail: None };
        std::panic::catch_unwind(run).map_err(failed)?
    }

    fn outputs(&self, input: Val) -> Result<Vec<Val>, Failure> {
        let run = Run::new(&self.filter.lut, &self.expressions);
        let context = Ctx::<Data>::new(&run, Vars::new([]));
        let mut outputs = Vec::new();
        let mut failed = None;
        for output in self.filter.id.run((context, input)) {
            let output = output.map_err(|exception| exception.get_err().ok().map(jaq_core::Error::into_val));
            match output.and_then(|value| run.give(&value).map(|()| value).map_err(|error| Some(error.into_val()))) {
                Ok(value) if outputs.len() < OUTPUTS_MAX => outputs.push(value),
                Ok(_) => {
                    let message = format!("it gives more than {OUTPUTS_MAX} events for one row");
                    return Err(Failure { message, detail: None });
                }
                Err(error) => {
                    failed = Some(error.unwrap_or_default());
                    break;
                }
            }
        }
        // A program may have caught what a limit said.
        match (run.exceeded(), failed) {
            (Some(what), _) => Err(Failure { message: what.to_owned(), detail: None }),
            (None, Some(error)) => Err(self.failure(&error)),
            (None, None) => Ok(outputs),
        }
    }

    /// What a program says of its own may hold anything of the row. What stands in its text does not.
    fn failure(&self, error: &Val) -> Failure {
        let said = json::text(error).map_or_else(|| error.to_string(), str::to_owned);
        let is_own = functions::OWN.iter().chain([&regex::OWN]).any(|start| said.starts_with(start));
        if is_own || !said.is_empty() && self.text.contains(&format!("\"{said}\"")) {
            return Failure { message: said, detail: None };
        }
        let message = "it fails on this row; why may hold values of the row: `staygraph map` shows it".to_owned();
        Failure { message, detail: Some(said) }
    }
}

/// What is wrong with a program's text.
fn unloadable(file: &str, text: &str, errors: jaq_core::load::Errors<&str, ()>) -> Vec<String> {
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
    faults.collect()
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

    /// Answers that jq gives, checked with jq's own manual and jq 1.6 where not said otherwise.
    #[test]
    fn jqs_manual_holds() {
        let cases = [
            (r#"[null,"a",1,true,null] | join("-")"#, r#""-a-1-true-""#),
            (r#"[] | join("-")"#, r#""""#),
            (r#"["Ada", null, "Lovelace"] | join(" ")"#, r#""Ada  Lovelace""#),
            ("null | .[:3]", "null"),
            ("null | .[1:]", "null"),
            (r#"{"a": null} | .a[1:2]"#, "null"),
            (r#"{"a": "abc"} | .a[1:], .a[:1], .a[1:2]"#, r#""bc" "a" "b""#),
            ("[1,2,3] | .[1:] = [\"a\"]", r#"[1,"a"]"#),
            ("null | .[0:2] = [\"a\"]", r#"["a"]"#),
            ("[1,2,3,4] | .[1:3] | length", "2"),
            ("[0,1,2] | .[.[1]:]", "[1,2]"),
            (r#"5 | .[1:]?, 7"#, "7"),
            (r#"null | rtrimstr("Z"), ltrimstr("Z")"#, "null null"),
            (r#""2024Z" | rtrimstr("Z"), ltrimstr("20"), ltrimstr(1)"#, r#""2024" "24Z" "2024Z""#),
            (r#""Zoë Łódź" | [match("\\w+"; "g").string]"#, r#"["Zoë","Łódź"]"#),
            (r#""É" | test("é"; "i")"#, "true"),
            (r#""Éa1" | [scan("[[:alpha:]]")]"#, r#"["É","a"]"#),
            (r#""aXb" | test("\\p{Lu}"), test("^\\p{Lu}")"#, "true false"),
            (r#""TEST x", "x" | test("^(?!TEST)")"#, "false true"),
            (r#""price 12" | capture("(?<=price )(?<n>\\d+)")"#, r#"{"n":"12"}"#),
            (r#""abab" | test("^(ab)\\1$")"#, "true"),
            (
                "\"a\\nb\" | test(\"^b\"), test(\"a$\"), test(\"a.b\"), test(\"a.b\"; \"s\"), test(\"a.b\"; \"p\")",
                "false false false false true",
            ),
            (r#""xyz" | capture("(?<a>x)(?<n>q)?")"#, r#"{"a":"x","n":null}"#),
            (r#""abc" | match("b(x)?") | .captures"#, r#"[{"offset":-1,"length":0,"string":null,"name":null}]"#),
            (r#""aéb" | match("b") | .offset, .length"#, "2 1"),
            (r#""abc" | test("B"; null), test(["B", "i"]), test("B"; "ix")"#, "false true true"),
            (r#""ab,cd, ef" | [splits(", *")], split(", *"; null)"#, r#"["ab","cd","ef"] ["ab","cd","ef"]"#),
            (r#""aé" | gsub("(?<l>\\w)"; "<\(.l)>")"#, r#""<a><é>""#),
            (r#""abc" | sub("(?<x>b)"; "[\(.x)]")"#, r#""a[b]c""#),
            (r#""aAbB" | [match(["a", "gi"]).string]"#, r#"["a","A"]"#),
            (r#"[{"name":"a","value":1},{"k":"b","v":2},{"key":"c"}] | from_entries"#, r#"{"a":1,"b":2,"c":null}"#),
            (r#"{"a":1} | with_entries(.value += 1)"#, r#"{"a":2}"#),
            ("[.[]?]", "[]"),
            ("[range(0; 10; 3)], [range(3)], [range(3; 0; -2)]", "[0,3,6,9] [0,1,2] [3,1]"),
            ("{a: 1, b: {c: 2}} | .b.c += 3 | .a *= 2 | .a -= 1", r#"{"a":1,"b":{"c":5}}"#),
            (r#"{a: [1,2]} | .a[] |= . + 1 | path(.a[0]), [paths]"#, r#"["a",0] [["a"],["a",0],["a",1]]"#),
            (r#"[limit(3; repeat(1))], first(range(10; 0; -1)), (10 | until(. < 3; . - 1))"#, "[1,1,1] 10 2"),
            (r#"[recurse(if . < 2 then . + 1 else empty end)]"#, "[0,1,2]"),
            (
                "[12345678901234567890123, 0.1000000000000000055511151231257827] | .[0], .[1]",
                "12345678901234567890123 0.1000000000000000055511151231257827",
            ),
        ];
        for (program, expected) in cases {
            let input = if program.starts_with("[recurse") { "0" } else { "null" };
            let got = run(program, input).map(|all| all.join(" "));
            assert_eq!(got.as_deref(), Ok(expected), "{program}");
        }
    }

    #[test]
    fn expressions_that_cannot_run_are_told_with_their_place() {
        for (text, place) in [
            ("test(\"(\")", "test.jq:1:7: "),
            (".a\n| gsub(\"[\"; \"\")", "test.jq:2:9: "),
            ("def f: capture(\"(?<a\"); f", "test.jq:1:17: "),
            ("[.[] | select(match(\"a\"; \"q\"))]", "test.jq:1:22: "),
            ("test(\"a\"; \"l\")", "test.jq:1:7: "),
            ("splits(\"\\\\p{Nonsense}\")", "test.jq:1:11: "),
        ] {
            let faults = Program::compile("test.jq", text).unwrap_err();
            assert!(faults[0].starts_with(place) && faults[0].contains("regular expression"), "{text}: {faults:?}");
        }
        // What is put together is known with the row alone, and is not repeated.
        let failure = run(".name | test(.)", r#"{"name":"(Ann"}"#).unwrap_err();
        assert!(failure.message.starts_with("regex: ") && !failure.message.contains("Ann"), "{failure:?}");
    }

    #[test]
    fn programs_without_an_end_fail_on_the_row() {
        let steps = [
            "def f: f; f",
            "last(repeat(.))",
            "[repeat(1)] | length",
            "last(range(1e18))",
            "[range(infinite)] | length",
            "reduce range(1e18) as $i (0; . + 1)",
            "last(foreach repeat(1) as $x (0; . + $x))",
            "until(false; .)",
            "last(recurse(.))",
            "def f: try error(\"x\") catch f; f",
            "def f: (f?), 1; f",
            "last(limit(1e15; repeat(1)))",
            "[limit(1e9; range(1e12))] | length",
            "[while(true; . + 1)] | length",
            "isempty(repeat(empty))",
            "label $out | repeat(1) | if . == 2 then break $out else empty end",
        ];
        for program in steps {
            let failure = run(program, "1").unwrap_err();
            assert!(failure.message.contains("does it end?"), "{program}: {failure:?}");
        }
        for program in [
            "def f: 1 + f; f",
            "def f: [f]; f",
            "def f: f | f | 1; f",
            "def f(x): f(x | x); f(.)",
            "[recurse([.])] | length",
            "def f: {a: f}; f",
            "def f(n): if n == 0 then . else [f(n - 1)] end; f(1000000)",
        ] {
            let failure = run(program, "1").unwrap_err();
            assert!(
                failure.message.contains("does it end?") || failure.message.contains("larger than"),
                "{program}: {failure:?}"
            );
        }
        for program in [
            "\"abc\" * 1e12",
            "reduce range(100) as $i (\"ab\"; . + .)",
            "reduce range(100) as $i (\"ab\"; . += .)",
            "reduce range(100) as $i (\"ab\"; \"\\(.)\\(.)\")",
            "reduce range(100) as $i ({a: \"ab\"}; .a += .a)",
            "reduce range(100) as $i ([1]; . + .)",
            "reduce range(100) as $i ([1]; [., .])",
            "reduce range(100) as $i ([1]; {a: ., b: .})",
            "reduce range(100) as $i (10000000000; . * .)",
            "reduce range(100000) as $i ([]; [.])",
            "def f: if length > 1e9 then . else . + . | f end; [1] | f",
        ] {
            let failure = run(program, "1").unwrap_err();
            assert!(failure.message.contains("larger than"), "{program}: {failure:?}");
        }
        // Backtracking ends too.
        let slow = format!("\"{}c\"", "a".repeat(200));
        let failure = run("test(\"^(a|a|a(?=a))+$\")", &slow).unwrap_err();
        assert!(failure.message.starts_with("regex: the search takes too long"), "{failure:?}");
    }

    #[test]
    fn large_rows_are_within_bounds() {
        let sum = "reduce range(80000) as $i (0; . + $i)";
        assert_eq!(run(sum, "null").unwrap(), ["3199960000"]);
        let array = "reduce range(2000) as $i ([]; . + [$i]) | length, (map(. * 2) | add), ([.[] | tostring] | join(\",\") | length)";
        assert_eq!(run(array, "null").unwrap(), ["2000", "3998000", "8889"]);
        assert_eq!(run("def f: if . == 0 then 0 else . - 1 | f | . + 1 end; f", "100").unwrap(), ["100"]);
        let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(run("[..] | length", &deep).unwrap(), ["121"]);
        assert_eq!(run("walk(if type == \"number\" then . + 1 else . end) | flatten", &deep).unwrap(), ["[2]"]);
    }
}
