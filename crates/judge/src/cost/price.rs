//! What a million calls cost at the user's own prices (compare V-6).
//!
//! Two numbers, because they disagree: packed shares a machine with others and pays for what is
//! used; provisioned pays for whole instances that are large enough for the peak. Without prices
//! there is no cost, and no salaries are assumed.

/// Prices as the user gives them, in a currency of his own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// Of one CPU for an hour.
    pub cpu_hour: f64,
    /// Of one GiB for an hour.
    pub gib_hour: f64,
    /// Of one instance for an hour.
    pub instance_hour: f64,
    /// Peak over mean.
    pub headroom: f64,
    pub instances_least: u32,
}

impl Prices {
    /// With a headroom of 1.5 and at least one instance.
    pub fn new(cpu_hour: f64, gib_hour: f64, instance_hour: f64) -> Prices {
        Prices { cpu_hour, gib_hour, instance_hour, headroom: 1.5, instances_least: 1 }
    }
}

/// What one side uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostInput {
    /// Calls a second that are to be served.
    pub rate: f64,
    /// CPU seconds a call at that rate, with its interval.
    pub cpu_s: f64,
    pub cpu_interval_s: Option<(f64, f64)>,
    /// Peak memory in GiB.
    pub memory_gib: f64,
    /// Calls a second that one instance serves within the objective; `None` if not searched.
    pub capacity: Option<f64>,
}

/// The cost of a million calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    pub packed: f64,
    pub packed_interval: Option<(f64, f64)>,
    /// With the number of instances; `None` without a capacity.
    pub provisioned: Option<(f64, u32)>,
}

const HOUR_S: f64 = 3_600.0;
const CALLS: f64 = 1e6;

/// Both costs; `None` at a rate of 0.
pub fn cost(prices: &Prices, input: &CostInput) -> Option<Cost> {
    let Prices { cpu_hour, gib_hour, instance_hour, headroom, instances_least } = *prices;
    let CostInput { rate, cpu_s, cpu_interval_s, memory_gib, capacity } = *input;
    if rate <= 0.0 {
        return None;
    }
    let packed =
        |cpu_s: f64| CALLS * (cpu_s * cpu_hour / HOUR_S + memory_gib * gib_hour / HOUR_S / rate);
    let provisioned = capacity.filter(|capacity| *capacity > 0.0).map(|capacity| {
        let instances = ((rate * headroom / capacity).ceil() as u32).max(instances_least);
        (CALLS * f64::from(instances) * instance_hour / HOUR_S / rate, instances)
    });
    Some(Cost {
        packed: packed(cpu_s),
        packed_interval: cpu_interval_s.map(|(low, high)| (packed(low), packed(high))),
        provisioned,
    })
}

/// Days until a change that costs `effort` pays for itself; only of prices that were given.
pub fn break_even_days(saved_per_million: f64, calls_a_day: f64, effort: f64) -> Option<f64> {
    let saved = saved_per_million * calls_a_day / CALLS;
    (saved > 0.0).then(|| effort / saved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_v_6_costs_are_those_of_the_reference() {
        let prices = Prices::new(0.04, 0.005, 0.17);
        for (cpu_us, memory_mib, capacity, packed) in
            [(41.0, 38.0, 9_000.0, 0.000_481), (67.0, 162.0, 5_700.0, 0.000_854)]
        {
            let input = CostInput {
                rate: 2_000.0,
                cpu_s: cpu_us / 1e6,
                cpu_interval_s: None,
                memory_gib: memory_mib / 1_024.0,
                capacity: Some(capacity),
            };
            let found = cost(&prices, &input).unwrap();
            assert!((found.packed / packed - 1.0).abs() < 1e-3, "{found:?}");
            let (provisioned, instances) = found.provisioned.unwrap();
            assert!((provisioned / 0.023_61 - 1.0).abs() < 1e-3, "{found:?}");
            assert_eq!(instances, 1);
        }
    }

    #[test]
    fn instances_are_whole_and_have_headroom() {
        let prices = Prices::new(0.04, 0.005, 0.17);
        let instances = |rate| {
            let input = CostInput {
                rate,
                cpu_s: 1e-5,
                cpu_interval_s: None,
                memory_gib: 0.0,
                capacity: Some(3_000.0),
            };
            cost(&prices, &input).and_then(|cost| cost.provisioned).map(|(_, count)| count)
        };
        assert_eq!((instances(2_000.0), instances(2_001.0)), (Some(1), Some(2)));
        assert_eq!(instances(0.0), None);
        assert_eq!(break_even_days(0.0, 1e6, 100.0), None);
        assert_eq!(break_even_days(0.5, 2e6, 100.0), Some(100.0));
    }
}
