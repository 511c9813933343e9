//! Facts about one device.

/// Facts about one device: what a PJRT plugin of the platform counts as one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Hardware {
    /// Bytes of memory that a program can have.
    pub memory_bytes: u64,
    /// Peak rate of dense bf16 matrix products, in flop/s; a multiplication and an addition are two.
    pub bf16_flops: f64,
    /// Peak rate of matrix products that are exact to f32, in flop/s.
    pub f32_flops: f64,
    /// Peak bandwidth of the memory, in bytes/s.
    pub memory_bandwidth: f64,
    /// What joins the device to the others.
    pub interconnect: Interconnect,
    /// Where the figures come from.
    pub source: &'static str,
}

/// What joins devices.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interconnect {
    /// Its name.
    pub name: &'static str,
    /// Its form.
    pub network: Network,
    /// Links of one device.
    pub links: u32,
    /// Bandwidth of one link in one direction, in bytes/s.
    pub link_bandwidth: f64,
}

/// How links are arranged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Network {
    /// Every device reaches its neighbours along so many axes, by one link a direction.
    Torus {
        /// The number of axes.
        axes: u32,
    },
    /// Every device reaches every other with all of its links.
    Switch,
}

impl Interconnect {
    /// Links that a device has on one axis of the network.
    pub const fn links_per_axis(&self) -> u32 {
        match self.network {
            Network::Torus { axes } => self.links / axes,
            Network::Switch => self.links,
        }
    }

    /// Bytes/s that a device sends in a collective of `devices` devices: over the links to both neighbours of a
    /// ring in a torus (to the only one, of two devices), and over all links to a switch.
    pub fn collective_bandwidth(&self, devices: usize) -> f64 {
        let links = match self.network {
            Network::Torus { .. } if devices <= 2 => 1,
            Network::Torus { .. } | Network::Switch => self.links_per_axis(),
        };
        f64::from(links) * self.link_bandwidth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_uses_both_of_its_links_and_a_switch_all() {
        let mut network = Interconnect {
            name: "ICI",
            network: Network::Torus { axes: 3 },
            links: 6,
            link_bandwidth: 100e9,
        };
        assert_eq!(network.links_per_axis(), 2);
        assert_eq!(network.collective_bandwidth(2), 100e9);
        assert_eq!(network.collective_bandwidth(4), 200e9);
        network.network = Network::Switch;
        assert_eq!(network.collective_bandwidth(2), 600e9);
    }
}
