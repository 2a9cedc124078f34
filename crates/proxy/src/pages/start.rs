//! The start page: what a service waits for, and on to the app by itself once it answers.
//!
//! The script asks `/.wharf/status` on the same origin and reloads the page when the app is ready, which keeps path,
//! query and fragment. Without script the page reloads itself every few seconds.

use maud::{Markup, html};

use super::Asked;
use super::layout::{self, Content};
use crate::directory::{StartInfo, Target, TargetState};

/// Log lines shown; the last ones.
const LOG_LINES_MAX: usize = 20;

/// The page. `connected`: whether the container's supervisor is.
pub(super) fn page(
    target: &Target,
    info: &StartInfo,
    connected: bool,
    dashboard_url: &str,
    asked: Asked<'_>,
) -> Markup {
    let name = if target.name.is_empty() { target.port_label() } else { target.name.clone() };
    let first = info.log_lines.len().saturating_sub(LOG_LINES_MAX);
    let content = Content {
        title: format!("Starting {name}"),
        code: String::new(),
        body: html! {
            p #words role="status" aria-live="polite" { (state_words(target, info, connected)) }
            p.soft #detail { (info.detail) }
            ol #steps data-step=(step(target.state)) {
                @for (at, text) in ["Submitted", "Has a place", "Container runs", "Application answers"].iter().enumerate() {
                    li.done[at < step(target.state)].now[at == step(target.state)] { (text) }
                }
            }
            p.soft { "This page goes on by itself. " span #since {} }
            p #late hidden { b { "This takes long. " } "What its program says is below and in its log. It may listen on another port, or wait for something that does not come; it can be restarted from its own page." }
            pre #log tabindex="0" role="region" aria-label="Last log lines" { (info.log_lines[first..].join("\n")) }
        },
        actions: actions(target, dashboard_url),
        head: html! { noscript { meta http-equiv="refresh" content="2"; } },
        script: Some(SCRIPT),
    };
    layout::page(&content, asked.exchange.request_id.as_str())
}

/// Back to the service's own pages.
fn actions(target: &Target, dashboard_url: &str) -> Vec<(&'static str, String)> {
    match target.request {
        Some(request) => {
            let page = format!("{dashboard_url}services/{request}");
            vec![("About this service", page.clone()), ("Logs", format!("{page}/logs"))]
        }
        None => vec![("All services", dashboard_url.to_owned())],
    }
}

/// How many of the four steps are behind.
fn step(state: TargetState) -> usize {
    match state {
        TargetState::Uncommitted => 0,
        TargetState::Queued => 1,
        TargetState::Locked => 2,
        TargetState::Running | TargetState::Complete | TargetState::Cancelled => 3,
    }
}

/// One sentence about where the service is.
pub(super) fn state_words(target: &Target, info: &StartInfo, connected: bool) -> String {
    match (target.state, info.queue_place) {
        (TargetState::Uncommitted, _) => "The request was not submitted yet.".to_owned(),
        (TargetState::Queued, Some(place)) => {
            format!("Queued: waiting for a place, number {place} in the queue.")
        }
        (TargetState::Queued, None) => "Queued: waiting for a place.".to_owned(),
        (TargetState::Locked, _) => "Locked: the container is being prepared.".to_owned(),
        (TargetState::Running, _) if !connected => {
            "Running: reconnecting to the machine that it runs on.".to_owned()
        }
        (TargetState::Running, _) => {
            format!("Running: the application does not answer on port {} yet.", target.port)
        }
        (TargetState::Complete | TargetState::Cancelled, _) => "The service is over.".to_owned(),
    }
}

/// Asks every second; any answer but "not yet" is shown by loading the page anew. A failed question is asked again.
pub(super) const SCRIPT: &str = "
(function(){
'use strict';
var begun=Date.now(),steps={Uncommitted:0,Queued:1,Locked:2,Running:3};
function text(id,value){var e=document.getElementById(id);if(e&&e.textContent!==value){e.textContent=value}}
function show(s){
text('words',s.words);text('detail',s.detail||'');text('log',(s.log_lines||[]).slice(-20).join('\\n'));
var log=document.getElementById('log');log.scrollTop=log.scrollHeight;
var at=steps[s.state],items=document.querySelectorAll('#steps li');
for(var i=0;i<items.length;i++){items[i].className=i<at?'done':i===at?'now':''}
}
function ask(){
fetch('/.wharf/status',{headers:{Accept:'application/json'},cache:'no-store',credentials:'same-origin',redirect:'error'})
.then(function(r){if(r.status===503){return null}if(!r.ok){location.reload();return null}return r.json()})
.then(function(s){if(!s){return}if(s.ready){location.reload();return}show(s)})
.catch(function(){text('detail','The controller does not answer; trying again.')})
.then(function(){setTimeout(ask,1000)});
}
setInterval(function(){
var s=Math.round((Date.now()-begun)/1000);
text('since','Waiting for '+s+' s.');
if(s>=120){document.getElementById('late').hidden=false}
},1000);
setTimeout(ask,500);
})();
";
