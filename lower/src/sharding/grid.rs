//! Paths through grids of chips: which order of devices makes neighbours of consecutive ones.

/// A grid of devices. The last dimension may be the cores of a chip.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Grid {
    pub(super) dims: Vec<GridDim>,
}

/// A dimension of a grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct GridDim {
    pub(super) size: usize,
    /// Hops from one place to the next: 0 between cores of one chip.
    pub(super) hop: usize,
    /// Whether the last place is linked to the first.
    pub(super) wraps: bool,
}

impl Grid {
    /// Hops between two places.
    pub(super) fn hops(&self, from: &[usize], to: &[usize]) -> usize {
        let along = |((dim, &from), &to): ((&GridDim, &usize), &usize)| {
            let distance = from.abs_diff(to);
            dim.hop * if dim.wraps { distance.min(dim.size.abs_diff(distance)) } else { distance }
        };
        self.dims.iter().zip(from).zip(to).map(along).sum()
    }

    /// Hops once around a ring of places.
    pub(super) fn hops_around(&self, ring: &[Vec<usize>]) -> usize {
        let next = ring.iter().cycle().skip(1);
        ring.iter().zip(next).map(|(from, to)| self.hops(from, to)).sum()
    }

    /// Every box of `count` places that tiles the grid: its size along each dimension.
    pub(super) fn boxes(&self, count: usize) -> Vec<Vec<usize>> {
        let Some((first, rest)) = self.dims.split_first() else {
            return if count == 1 { vec![Vec::new()] } else { Vec::new() };
        };
        let rest = Self { dims: rest.to_vec() };
        let fits = |size: &usize| first.size.is_multiple_of(*size) && count.is_multiple_of(*size);
        let sizes = (1..=first.size.min(count)).filter(fits);
        sizes
            .flat_map(|size| {
                let boxes = rest.boxes(count / size).into_iter();
                boxes.map(move |others| std::iter::once(size).chain(others).collect::<Vec<_>>())
            })
            .collect()
    }

    /// The box of `count` places with the fewest hops around it; among equal ones the most compact.
    pub(super) fn best_box(&self, count: usize) -> Option<Vec<usize>> {
        self.boxes(count).into_iter().min_by_key(|sizes| {
            let extent = |(dim, &size): (&GridDim, &usize)| dim.hop * (size - 1);
            let diameter: usize = self.dims.iter().zip(sizes).map(extent).sum();
            (self.hops_around(&ring(sizes)), diameter)
        })
    }
}

/// Every place of a box, each a neighbour of the one before: rows there and back.
pub(super) fn path(sizes: &[usize]) -> Vec<Vec<usize>> {
    let Some((&first, rest)) = sizes.split_first() else { return vec![Vec::new()] };
    let inner = path(rest);
    let row = |index: usize| {
        let place = move |rest: &Vec<usize>| std::iter::once(index).chain(rest.iter().copied()).collect();
        let forth = inner.iter().map(place);
        if index.is_multiple_of(2) { forth.collect::<Vec<_>>() } else { forth.rev().collect() }
    };
    (0..first).flat_map(row).collect()
}

/// Every place of a box, each a neighbour of the one before, and the last of the first wherever the box
/// allows that: it has an even side and is no line.
pub(super) fn ring(sizes: &[usize]) -> Vec<Vec<usize>> {
    let places: usize = sizes.iter().product();
    let even_side =
        |dim: &usize| sizes.get(*dim).is_some_and(|size| size.is_multiple_of(2) && places > *size);
    let Some(side) = (0..sizes.len()).find(even_side) else { return path(sizes) };
    let height = sizes.get(side).copied().unwrap_or(1);
    let mut others = sizes.to_vec();
    others.remove(side);
    // Columns are a path through the other dimensions, so the box is a sheet of an even number of rows: there
    // and back through all columns but the first, then home along the first.
    let columns = path(&others);
    let at = |row: usize, column: &Vec<usize>| {
        let mut place = column.clone();
        place.insert(side, row);
        place
    };
    let Some((home, away)) = columns.split_first() else { return path(sizes) };
    let mut ring = vec![at(0, home)];
    for row in 0..height {
        let there = away.iter().map(|column| at(row, column));
        if row.is_multiple_of(2) { ring.extend(there) } else { ring.extend(there.rev()) }
    }
    ring.extend((1..height).rev().map(|row| at(row, home)));
    ring
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(sizes: &[usize], wraps: bool) -> Grid {
        Grid { dims: sizes.iter().map(|&size| GridDim { size, hop: 1, wraps }).collect() }
    }

    #[test]
    fn rings_visit_every_place_once_in_single_hops() {
        for sizes in [vec![2, 2], vec![2, 3], vec![3, 4], vec![4, 4, 4], vec![1, 5, 2], vec![3, 3, 2, 1]] {
            let ring = ring(&sizes);
            let mut places = ring.clone();
            places.sort();
            places.dedup();
            assert_eq!(places.len(), sizes.iter().product::<usize>(), "{sizes:?}");
            assert_eq!(grid(&sizes, false).hops_around(&ring), ring.len(), "{sizes:?}");
        }
        assert_eq!(grid(&[4], false).hops_around(&ring(&[4])), 6, "a line ends far from its start");
        assert_eq!(grid(&[4], true).hops_around(&ring(&[4])), 4, "unless it is linked to it");
        assert_eq!(grid(&[3, 3], false).hops_around(&ring(&[3, 3])), 12, "no ring has an odd number");
    }

    #[test]
    fn boxes_tile_the_grid() {
        assert_eq!(grid(&[2, 4], false).boxes(4), [vec![1, 4], vec![2, 2]]);
        assert_eq!(grid(&[2, 4], false).best_box(4), Some(vec![2, 2]));
        assert_eq!(grid(&[2, 4], false).best_box(3), None);
        assert_eq!(grid(&[3, 1], false).best_box(3), Some(vec![3, 1]));
    }
}
