//! Devices of collectives: `replica_groups`, in any of its four forms, and `source_target_pairs`.

use super::attributes::{Values, list};
use super::cursor::Cursor;
use crate::attributes::CollectiveAttributes;
use crate::error::ReadError;
use crate::replica_groups::{MeshAxis, ReplicaGroups};

pub(super) fn read(values: &Values<'_>) -> Result<CollectiveAttributes, ReadError> {
    let pair = |cursor: &mut Cursor<'_>| {
        let mut at = cursor.clone();
        match *numbers(cursor)? {
            [source, target] => Ok((source, target)),
            _ => Err(at.expected("a pair of devices such as `{0,1}`")),
        }
    };
    Ok(CollectiveAttributes {
        channel: values.read("channel_id", |cursor| cursor.integer("a number"))?.unwrap_or_default(),
        groups: values.read("replica_groups", |cursor| groups(cursor, values))?.unwrap_or_default(),
        source_target_pairs: values
            .read("source_target_pairs", |cursor| list(cursor, pair))?
            .unwrap_or_default(),
    })
}

fn numbers(cursor: &mut Cursor<'_>) -> Result<Vec<u64>, ReadError> {
    list(cursor, |c| c.integer("the number of a device"))
}

fn groups(cursor: &mut Cursor<'_>, values: &Values<'_>) -> Result<ReplicaGroups, ReadError> {
    let mut at = cursor.clone();
    let groups = if cursor.sees("[") {
        iota(cursor)?
    } else if cursor.sees("mesh") {
        mesh(cursor, values)?
    } else {
        Some(ReplicaGroups(list(cursor, numbers)?))
    };
    groups.ok_or_else(|| at.expected("replica groups that fit their number of devices"))
}

/// `2,4]` after the opening bracket or parenthesis.
fn sizes<N: std::str::FromStr>(cursor: &mut Cursor<'_>, close: &str) -> Result<Vec<N>, ReadError> {
    let mut sizes = Vec::new();
    while !cursor.eat(close) {
        if !sizes.is_empty() {
            cursor.expect(",", "between numbers")?;
        }
        sizes.push(cursor.integer("a number")?);
    }
    Ok(sizes)
}

/// `[groups,size]<=[dimensions]T(permutation)`
fn iota(cursor: &mut Cursor<'_>) -> Result<Option<ReplicaGroups>, ReadError> {
    cursor.expect("[", "of replica groups")?;
    let shape: Vec<u64> = sizes(cursor, "]")?;
    cursor.expect("<=", "after the number and size of replica groups")?;
    cursor.expect("[", "of the devices' dimensions")?;
    let dimensions: Vec<u64> = sizes(cursor, "]")?;
    let permutation: Vec<usize> = if cursor.eat("T(") { sizes(cursor, ")")? } else { Vec::new() };
    Ok(match *shape {
        [groups, size] => ReplicaGroups::from_iota(groups, size, &dimensions, &permutation),
        _ => None,
    })
}

/// `mesh['data'=2,'model'=4] {'model'}`. A mesh whose devices are not in order continues in what looks like an
/// attribute of its own: `mesh['data'=2], device_ids=(1,0) {'data'}`.
fn mesh(cursor: &mut Cursor<'_>, values: &Values<'_>) -> Result<Option<ReplicaGroups>, ReadError> {
    cursor.expect("mesh", "of replica groups")?;
    cursor.expect("[", "of the mesh's axes")?;
    let mut names = Vec::new();
    let mut mesh: Vec<u64> = Vec::new();
    while !cursor.eat("]") {
        if !mesh.is_empty() {
            cursor.expect(",", "between axes")?;
        }
        names.push(axis_name(cursor)?);
        cursor.expect("=", "after the name of an axis")?;
        mesh.push(cursor.integer("the size of an axis")?);
    }
    if cursor.peek().is_some() {
        let axes = axes(cursor, &names)?;
        return Ok(ReplicaGroups::from_mesh(&mesh, &[], &axes));
    }
    let continued = values.read("device_ids", |cursor| {
        cursor.expect("(", "of device numbers")?;
        let devices: Vec<u64> = sizes(cursor, ")")?;
        Ok((devices, axes(cursor, &names)?))
    })?;
    let (devices, axes) = continued.ok_or_else(|| cursor.expected("the axes of the groups"))?;
    Ok(ReplicaGroups::from_mesh(&mesh, &devices, &axes))
}

fn axis_name<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, ReadError> {
    let is_quoted = cursor.eat("'");
    let name = cursor.name("the name of an axis")?;
    if is_quoted {
        cursor.expect("'", "after the name of an axis")?;
    }
    Ok(name)
}

/// `{'data','model':(1)2}`, the second being a part of its axis.
fn axes(cursor: &mut Cursor<'_>, names: &[&str]) -> Result<Vec<MeshAxis>, ReadError> {
    list(cursor, |cursor| {
        let mut at = cursor.clone();
        let name = axis_name(cursor)?;
        let index = names.iter().position(|other| *other == name);
        let index = index.ok_or_else(|| at.expected("an axis of the mesh"))?;
        let part = match cursor.eat(":(") {
            true => {
                let before = cursor.integer("the size before the part")?;
                cursor.expect(")", "after the size before the part")?;
                Some((before, cursor.integer("the size of the part")?))
            }
            false => None,
        };
        Ok(MeshAxis { index, part })
    })
}
