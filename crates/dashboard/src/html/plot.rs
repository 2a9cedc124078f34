//! A plot as markup: axis, SVG, legend with the newest numbers, and its twin, a table with all of them. The script
//! reads numbers out of that table, so both always say the same.

use maud::{Markup, html};
use model::Timestamp;

use crate::view::plot::{HEIGHT, Plot, Row, clock};

/// When the slots of a page's plots are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times<'t> {
    pub(crate) start: &'t Timestamp,
    pub(crate) period_seconds: u64,
}

impl Times<'_> {
    fn clock(&self, slot: usize) -> String {
        clock(self.start, self.period_seconds, slot)
    }
}

/// One plot and its table.
pub(crate) fn plot(plot: &Plot, times: Times<'_>) -> Markup {
    let (id, ceiling) = (plot.id, plot.ceiling());
    html! {
        section.plot id=(format!("plot-{id}")) aria-labelledby=(format!("{id}-title")) {
            h2 id=(format!("{id}-title")) { (plot.title) }
            (legend(plot))
            @if plot.is_empty() { p.note { "Nothing was measured in this time." } }
            @else {
                div.axes {
                    div.scale aria-hidden="true" {
                        span { (plot.unit.words(ceiling)) }
                        span { (plot.unit.words(ceiling / 2.0)) }
                        span { (plot.unit.words(0.0)) }
                    }
                    div.canvas data-plot=(id) tabindex="0" role="group" aria-label=(format!("{}: read out with the arrow keys", plot.title)) {
                        (drawing(plot))
                    }
                    div.times aria-hidden="true" {
                        span { (times.clock(0)) }
                        span { (times.clock(plot.n_slots() / 2)) }
                        span { (times.clock(plot.n_slots())) }
                    }
                }
                output.readout data-readout=(id) {}
                details {
                    summary { (plot.title) " as a table" }
                    (table(plot, times))
                }
            }
        }
    }
}

fn legend(plot: &Plot) -> Markup {
    html! {
        ul.legend {
            @for (at, curve) in plot.curves.iter().enumerate() {
                li data-tone=(curve.tone) {
                    svg.swatch viewBox="0 0 16 16" aria-hidden="true" {
                        @if plot.is_stacked { rect.area data-tone=(curve.tone) x="1" y="3" width="14" height="10" {} }
                        @else { path.curve data-tone=(curve.tone) d="M1 8h14" {} }
                    }
                    (curve.name) " "
                    @if let Some(value) = plot.latest(at) { strong data-latest=(curve.tone) { (plot.unit.words(value)) } }
                }
            }
            @if let Some(limit) = plot.limit {
                li { svg.swatch viewBox="0 0 16 16" aria-hidden="true" { path.limit d="M1 8h14" {} } "Limit " (plot.unit.words(limit)) }
            }
            @if !plot.marks.is_empty() {
                li { svg.swatch viewBox="0 0 16 16" aria-hidden="true" { path.mark d="M8 1v14" {} } (plot.mark_words) }
            }
        }
    }
}

fn drawing(plot: &Plot) -> Markup {
    let (width, half) = (plot.n_slots(), HEIGHT / 2);
    html! {
        svg viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" {
            path.rule d=(format!("M0 0h{width}M0 {half}h{width}M0 {HEIGHT}h{width}")) {}
            @for (at, curve) in plot.curves.iter().enumerate() {
                path.area[plot.is_stacked].curve[!plot.is_stacked] data-tone=(curve.tone) d=(plot.path(at)) {}
            }
            @if let Some(level) = plot.limit_level() { path.limit d=(format!("M0 {level}h{width}")) {} }
            @for slot in &plot.marks { path.mark d=(format!("M{slot}.5 0v{HEIGHT}")) {} }
            path.cursor d="" {}
        }
    }
}

fn table(plot: &Plot, times: Times<'_>) -> Markup {
    html! {
        div.table-box.tall tabindex="0" role="region" aria-label=(format!("{} as a table", plot.title)) {
            table data-rows=(plot.id) {
                thead { tr { th scope="col" { "From (UTC)" } @for curve in &plot.curves { th.number scope="col" { (curve.name) } } } }
                tbody {
                    @for row in plot.rows() {
                        @match row {
                            Row::Measured(slot) => tr data-slot=(slot) {
                                th scope="row" { (times.clock(slot)) @if plot.marks.contains(&slot) { ": " (plot.mark_words) } }
                                @for curve in &plot.curves {
                                    td.number { @match curve.values[slot] { Some(value) => (plot.unit.words(value)), None => "–" } }
                                }
                            },
                            Row::Gap { from, to } => tr {
                                th scope="row" { (times.clock(from)) @if from < to { " to " (times.clock(to + 1)) } }
                                td colspan=(plot.curves.len()) { "not measured" }
                            },
                        }
                    }
                }
            }
        }
    }
}
