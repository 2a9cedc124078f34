//! The frame of every page: one column, light or dark as the browser likes it, from 320 px upward.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Words and links of one page.
#[derive(Debug)]
pub(super) struct Content {
    /// The tab's title and the first heading.
    pub(super) title: String,
    /// A status as people know it: "403"; empty on the start page.
    pub(super) code: String,
    pub(super) body: Markup,
    /// Text and address of each thing to do, the most likely first.
    pub(super) actions: Vec<(&'static str, String)>,
    /// What goes at the end of `<head>`.
    pub(super) head: Markup,
    /// What goes at the end of `<body>`.
    pub(super) script: Option<&'static str>,
}

/// A whole page.
pub(super) fn page(content: &Content, request_id: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (content.title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
                (content.head)
            }
            body {
                main {
                    @if !content.code.is_empty() { p.code { (content.code) } }
                    h1 { (content.title) }
                    (content.body)
                    @if !content.actions.is_empty() {
                        p.actions {
                            @for (text, address) in &content.actions {
                                a href=(address) { (text) }
                            }
                        }
                    }
                }
                footer { "Wharf · request " code { (request_id) } }
                @if let Some(script) = content.script { script { (PreEscaped(script)) } }
            }
        }
    }
}

/// Every colour pair has a contrast of 4.5 or more in both schemes.
pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#56616f;--line:#dde2e8;--accent:#0b5cad;--on-accent:#fff;--log:#f0f2f5}
@media(prefers-color-scheme:dark){:root{--paper:#12161c;--card:#1a2028;--ink:#e8edf3;--soft:#a3afbd;--line:#2d3642;--accent:#7ab8f5;--on-accent:#0b1520;--log:#10141a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;flex-direction:column;align-items:center;justify-content:center;padding:1.5rem 1rem;background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
main{width:100%;max-width:40rem;background:var(--card);border:1px solid var(--line);border-radius:.9rem;padding:1.75rem clamp(1.1rem,5vw,2.25rem)}
h1{font-size:1.45rem;line-height:1.25;margin:0 0 .6rem;overflow-wrap:anywhere}
p{margin:.6rem 0;overflow-wrap:anywhere}
.code{margin:0 0 .25rem;color:var(--soft);font-size:.9rem;letter-spacing:.06em}
.soft{color:var(--soft)}
.actions{display:flex;flex-wrap:wrap;gap:.6rem;margin-top:1.4rem}
.actions a,.actions button{display:inline-block;font:inherit;cursor:pointer;background:none;padding:.55rem 1rem;border-radius:.5rem;border:1px solid var(--accent);color:var(--accent);text-decoration:none;font-weight:600}
.actions a:first-child,.actions button{background:var(--accent);color:var(--on-accent)}
a:focus-visible,button:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
ol{list-style:none;margin:1.1rem 0;padding:0}
li{display:flex;gap:.6rem;align-items:baseline;padding:.2rem 0;color:var(--soft)}
li::before{content:'\\25CB';width:1.1em;text-align:center}
li.done::before{content:'\\2713'}
li.now{color:var(--ink);font-weight:600}
li.now::before{content:'\\25CF';animation:pulse 1.4s ease-in-out infinite}
@keyframes pulse{50%{opacity:.25}}
@media(prefers-reduced-motion:reduce){li.now::before{animation:none}}
pre{background:var(--log);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .8rem;margin:1rem 0 0;max-height:16rem;overflow:auto;font:.82rem/1.45 ui-monospace,SFMono-Regular,Menlo,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
pre:empty{display:none}
footer{margin-top:1rem;color:var(--soft);font-size:.85rem}
code{font-family:ui-monospace,SFMono-Regular,Menlo,monospace;font-size:.92em}
";
