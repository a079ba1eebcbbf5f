//! Aligned columns of text that fit a width: for reports and for the live display.
//!
//! A grid that is too wide first drops the columns that matter least, then cuts its first column.

use console::{Alignment, measure_text_width, pad_str, truncate_str};

/// The fewest cells the first column is cut to.
const LEAST_NAME: usize = 8;
const GAP: usize = 2;

/// Aligned columns of text.
#[derive(Debug, Default)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Column {
    title: &'static str,
    alignment: Alignment,
    /// 0 stays; a higher one is dropped before a lower one.
    drop: u8,
}

impl Grid {
    /// Adds a column of text.
    pub(crate) fn left(mut self, title: &'static str, drop: u8) -> Self {
        self.columns.push(Column {
            title,
            alignment: Alignment::Left,
            drop,
        });
        self
    }

    /// Adds a column of numbers.
    pub(crate) fn right(mut self, title: &'static str, drop: u8) -> Self {
        self.columns.push(Column {
            title,
            alignment: Alignment::Right,
            drop,
        });
        self
    }

    /// Adds a row; it has as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The lines, titles first if any column has one. `None` is as wide as it needs.
    pub(crate) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let mut widths: Vec<Option<usize>> = self.natural_widths().into_iter().map(Some).collect();
        if let Some(width) = width {
            self.fit(&mut widths, width);
        }
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        let has_titles = titles.iter().any(|title| !title.is_empty());
        let head = has_titles.then(|| self.line(&titles, &widths));
        let rows = self.rows.iter().map(|row| {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            self.line(&cells, &widths)
        });
        head.into_iter().chain(rows).collect()
    }

    fn natural_widths(&self) -> Vec<usize> {
        let widest = |(at, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| measure_text_width(&row[at]));
            cells
                .max()
                .unwrap_or(0)
                .max(measure_text_width(column.title))
        };
        self.columns.iter().enumerate().map(widest).collect()
    }

    fn fit(&self, widths: &mut [Option<usize>], width: usize) {
        while total(widths) > width {
            let droppable = |(at, _): &(usize, &Column)| widths[*at].is_some();
            let least = self
                .columns
                .iter()
                .enumerate()
                .filter(droppable)
                .max_by_key(|(_, column)| column.drop);
            match least {
                Some((at, column)) if column.drop > 0 => widths[at] = None,
                _ => break,
            }
        }
        let over = total(widths).saturating_sub(width);
        if let Some(Some(first)) = widths.first_mut() {
            *first = (*first).min(first.saturating_sub(over).max(LEAST_NAME));
        }
    }

    fn line(&self, cells: &[&str], widths: &[Option<usize>]) -> String {
        let mut line = String::new();
        for ((cell, column), width) in cells.iter().zip(&self.columns).zip(widths) {
            let Some(width) = *width else { continue };
            if !line.is_empty() {
                line.push_str(&" ".repeat(GAP));
            }
            let cut = truncate_str(cell, width, "…");
            line.push_str(&pad_str(&cut, width, column.alignment, None));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::default()
            .left("TABLE", 0)
            .right("ROWS", 1)
            .left("NOTE", 2);
        grid.row(["public.orders", "12", "first"].map(str::to_owned));
        grid.row(["表", "1,234", ""].map(str::to_owned));
        grid
    }

    #[test]
    fn columns_line_up_by_what_the_terminal_shows() {
        let expected = [
            "TABLE           ROWS  NOTE",
            "public.orders     12  first",
            "表             1,234",
        ];
        assert_eq!(grid().lines(None), expected);
    }

    #[test]
    fn too_wide_a_grid_drops_what_matters_least_then_cuts_names() {
        assert_eq!(grid().lines(Some(20))[1], "public.orders     12");
        assert_eq!(grid().lines(Some(16))[1], "public.orders");
        assert_eq!(grid().lines(Some(10))[1], "public.or…");
        assert_eq!(grid().lines(Some(1))[1], "public.…");
    }
}
