//! Plots as SVG.

use plotters::prelude::*;
use std::error::Error;

const SIZE: (u32, u32) = (900, 380);
/// Told apart by people who see few colours, too.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(120, 94, 60),
    RGBColor(0, 0, 0),
];

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// What a plot shows, besides its lines.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
}

pub fn colour(number: usize) -> RGBColor {
    COLOURS[number % COLOURS.len()]
}

fn bounds(lines: &[Line], of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = lines.iter().flat_map(|line| &line.points).map(of);
    values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
}

/// Something over time, from zero.
pub fn over_time(frame: Frame, lines: &[Line]) -> Result<String, Box<dyn Error>> {
    let (_, seconds) = bounds(lines, |point| point.0);
    let (_, highest) = bounds(lines, |point| point.1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = builder(&area, frame)
            .build_cartesian_2d(0.0..seconds.max(1.0), 0.0..(highest * 1.05).max(1e-3))?;
        chart.configure_mesh().x_desc(frame.x).y_desc(frame.y).light_line_style(WHITE).draw()?;
        draw(&mut chart, lines)?;
        area.present()?;
    }
    Ok(svg)
}

/// Latencies by percentile; the x of 99.9 % is 1,000: each further nine takes the same room.
pub fn percentiles(frame: Frame, lines: &[Line]) -> Result<String, Box<dyn Error>> {
    let (_, rarest) = bounds(lines, |point| point.0);
    let (lowest, highest) = bounds(lines, |point| point.1);
    let low = lowest.max(1e-3);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = builder(&area, frame).build_cartesian_2d(
            (1.0..rarest.max(10.0)).log_scale(),
            (low..(highest * 1.2).max(low * 2.0)).log_scale(),
        )?;
        let percent = |x: &f64| {
            let percent = 100.0 * (1.0 - 1.0 / x);
            if *x < 10.0 { format!("{percent:.0} %") } else { format!("{} %", (percent * 1e6).round() / 1e6) }
        };
        chart
            .configure_mesh()
            .x_desc(frame.x)
            .y_desc(frame.y)
            .x_label_formatter(&percent)
            .light_line_style(WHITE)
            .draw()?;
        draw(&mut chart, lines)?;
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn builder<'a, 'b>(area: &'a Area<'b>, frame: Frame) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut builder = ChartBuilder::on(area);
    builder.caption(frame.title, ("sans-serif", 18)).margin(10).x_label_area_size(42).y_label_area_size(72);
    builder
}

/// The lines and what tells them apart, into a frame whose axes stand.
fn draw<'a, C>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>, lines: &[Line]) -> Result<(), Box<dyn Error>>
where
    C: CoordTranslate<From = (f64, f64)>,
{
    for (number, line) in lines.iter().enumerate() {
        let style = colour(number).stroke_width(2);
        let drawn = chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
        label(drawn, &line.name, number);
    }
    legend(chart)
}

fn label(drawn: &mut plotters::chart::SeriesAnno<'_, SVGBackend<'_>>, name: &str, number: usize) {
    let style = colour(number).stroke_width(3);
    drawn.label(name).legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
}

fn legend<'a, C: CoordTranslate>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, C>,
) -> Result<(), Box<dyn Error>> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
