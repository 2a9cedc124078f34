//! `wharf config check`: every problem of a config file at once, or the whole config that results.

use config::{Config, Environment, RawConfig};

use crate::args::{ConfigCommand, DEFAULT_LISTEN, SharedArgs};
use crate::context::data_dir;
use crate::output;

pub(crate) fn config(shared: &SharedArgs, command: &ConfigCommand) -> anyhow::Result<()> {
    let ConfigCommand::Check { file } = command;
    let listen = DEFAULT_LISTEN.parse()?;
    let base = Config::local(data_dir(shared, &Environment::read()), listen);
    let resolved = match file {
        Some(file) => RawConfig::load(file)?.resolve(base)?,
        None => base,
    };
    output::print(&resolved.to_yaml())?;
    Ok(())
}
