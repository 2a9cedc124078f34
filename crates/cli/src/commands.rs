//! The client commands, one file each.

mod batch;
mod config;
mod env;
mod extend;
mod forward;
mod hostname;
mod image;
mod invite;
mod later;
mod logs;
mod node;
mod open;
mod ps;
mod run;
mod share;
mod shell;
mod show;
mod stop;
mod token;
mod unshare;
mod url;
mod user;

use std::process::ExitCode;

use crate::args::{ClientCommand, SharedArgs};
use crate::context::Context;

/// Runs one command; its exit code is 0 unless it is a program's own.
pub(crate) async fn dispatch(
    command: ClientCommand,
    shared: &SharedArgs,
) -> anyhow::Result<ExitCode> {
    use ClientCommand as C;
    let context = || Context::load(shared);
    match command {
        C::Run(args) if args.batch => return Box::pin(batch::run(&context()?, *args)).await,
        C::Run(args) => Box::pin(run::run(&context()?, *args)).await?,
        C::Ps(args) => ps::ps(&context()?, &args).await?,
        C::Show(args) => show::show(&context()?, &args).await?,
        C::Logs(args) => logs::logs(&context()?, &args).await?,
        C::Stop(args) => Box::pin(stop::stop(&context()?, &args)).await?,
        C::Extend(args) => extend::extend(&context()?, &args).await?,
        C::Open(args) => open::open(&context()?, &args).await?,
        C::Url(args) => url::url(&context()?, &args).await?,
        C::Forward(args) => Box::pin(forward::forward(&context()?, &args)).await?,
        C::Share(args) => share::share(&context()?, &args).await?,
        C::Unshare(args) => unshare::unshare(&context()?, &args).await?,
        C::Invite(command) => invite::invite(&context()?, command).await?,
        C::Hostname(command) => hostname::hostname(&context()?, command).await?,
        C::Image(command) => image::image(shared, command).await?,
        C::Token(command) => token::token(&context()?, command).await?,
        C::Env => env::env(&context()?)?,
        C::Config(command) => config::config(shared, &command)?,
        C::Shell(args) => return Box::pin(shell::shell(&context()?, args)).await,
        C::Put(_) => later::refuse("put", later::Instead::Try("wharf run --mount"))?,
        C::Get(_) => later::refuse("get", later::Instead::Try("wharf run --mount"))?,
        C::Ls(_) => later::refuse("ls", later::Instead::Nothing)?,
        C::Node(command) => node::node(&context()?, command).await?,
        C::User(command) => user::user(&context()?, command).await?,
    }
    Ok(ExitCode::SUCCESS)
}
