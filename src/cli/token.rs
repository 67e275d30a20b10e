//! `staygraph token`: a token for a scraper or a job.

use clap::Args;

use super::{Failure, misused, one, say};
use crate::auth::{Secret, hash_of};
use crate::model::nearest;
use crate::rights::Scope;

#[derive(Args)]
pub struct Token {
    /// What logs name it by.
    #[arg(value_name = "NAME")]
    name: String,
    /// A scope that it has; may be repeated, or several with commas between them.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', required = true)]
    scopes: Vec<String>,
}

impl Token {
    pub fn run(self) -> Result<(), Failure> {
        let known = Scope::ALL.map(Scope::name);
        if let Some(scope) = self.scopes.iter().find(|scope| Scope::named(scope).is_none()) {
            let near = nearest(scope, known.into_iter());
            return Err(misused(format!("--scope: `{scope}` is no scope{near} (there are {})", known.join(", "))));
        }
        if self.name.is_empty() || self.name.contains(['"', '\\']) || self.name.contains(char::is_control) {
            return Err(misused("NAME is a text without quotes, such as `grafana`".into()));
        }
        let secret = Secret::make().map_err(|error| one(format!("no randomness for a new token: {error}")))?;
        let hash: String = hash_of(secret.text()).iter().map(|byte| format!("{byte:02x}")).collect();
        let scopes: Vec<String> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        say("# The token, shown this once: for `--token-file`, STAYGRAPH_TOKEN, or `Authorization: Bearer …`.");
        // Not as TOML has it: a configuration that all of this was written into is refused, and holds no secret for long.
        say(secret.text());
        say("# Its hash, for the service's configuration file:");
        say("[[auth.tokens]]");
        say(&format!("name = \"{}\"", self.name));
        say(&format!("sha256 = \"{hash}\""));
        say(&format!("scopes = [{}]", scopes.join(", ")));
        Ok(())
    }
}
