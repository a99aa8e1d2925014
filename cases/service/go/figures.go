package service

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"

	"tandem.dev/clients/go/runtimepb"
)

// Version is that of all cases.
const Version = "0.1.0"

// Figures serves what the process says of itself.
type Figures struct {
	runtimepb.UnimplementedRuntimeServer
	// Program is what the answer calls it.
	Program string
}

// What is read of the runtime; the names are the standard library's.
const (
	gcCycles     = "/gc/cycles/total:gc-cycles"
	gcAllocated  = "/gc/heap/allocs:bytes"
	gcPercent    = "/gc/gogc:percent"
	gcLimit      = "/gc/gomemlimit:bytes"
	gcCPU        = "/cpu/classes/gc/total:cpu-seconds"
	userCPU      = "/cpu/classes/user:cpu-seconds"
	gcPauses     = "/sched/pauses/total/gc:seconds"
	otherPauses  = "/sched/pauses/total/other:seconds"
	latencies    = "/sched/latencies:seconds"
	threadsOfGo  = "/sched/gomaxprocs:threads"
	figuresCount = 10
)

// Snapshot reads all figures at once.
func (f *Figures) Snapshot(context.Context, *runtimepb.SnapshotRequest) (*runtimepb.SnapshotResponse, error) {
	names := [figuresCount]string{
		gcCycles, gcAllocated, gcPercent, gcLimit, gcCPU, userCPU, gcPauses, otherPauses, latencies, threadsOfGo,
	}
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	read := make(map[string]metrics.Value, len(samples))
	for _, sample := range samples {
		read[sample.Name] = sample.Value
	}
	figures := &runtimepb.Go{
		GogcPercent:    percent(read[gcPercent]),
		GcCycles:       whole(read[gcCycles]),
		AllocatedBytes: whole(read[gcAllocated]),
		GcCpuS:         part(read[gcCPU]),
		UserCpuS:       part(read[userCPU]),
		GcPauses:       durations(read[gcPauses]),
		OtherPauses:    durations(read[otherPauses]),
		Scheduling:     durations(read[latencies]),
	}
	if limit := whole(read[gcLimit]); limit < math.MaxInt64 {
		figures.MemoryLimitBytes = &limit
	}
	return &runtimepb.SnapshotResponse{
		Program:     f.Program,
		Version:     Version,
		Build:       build(),
		Parallelism: uint32(whole(read[threadsOfGo])),
		Allocator:   "go",
		Runtime:     &runtimepb.SnapshotResponse_Go{Go: figures},
	}, nil
}

// build says how the program was made, as far as the linker wrote it down.
func build() *runtimepb.Build {
	made := &runtimepb.Build{Toolchain: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return made
	}
	var flags []string
	level, changed := "", false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "GOAMD64", "GOARM64":
			level = setting.Value
		case "vcs.revision":
			made.Revision = setting.Value
		case "vcs.modified":
			changed = setting.Value == "true"
		case "CGO_ENABLED":
			flags = append(flags, "CGO_ENABLED="+setting.Value)
		}
		// The flags of go build and of its parts begin so.
		if strings.HasPrefix(setting.Key, "-") && setting.Key != "-buildmode" && setting.Key != "-compiler" {
			flags = append(flags, setting.Key+"="+setting.Value)
		}
	}
	slices.Sort(flags)
	made.Flags = strings.Join(flags, " ")
	made.Profile = strings.TrimSpace(runtime.GOARCH + " " + level)
	if changed && made.Revision != "" {
		made.Revision += "+"
	}
	return made
}

func whole(value metrics.Value) uint64 {
	if value.Kind() != metrics.KindUint64 {
		return 0
	}
	return value.Uint64()
}

func part(value metrics.Value) float64 {
	if value.Kind() != metrics.KindFloat64 {
		return 0
	}
	return value.Float64()
}

// percent gives -1 for a collector that is switched off, which the runtime says by the largest
// number that there is.
func percent(value metrics.Value) int64 {
	read := whole(value)
	if read > math.MaxInt32 {
		return -1
	}
	return int64(read)
}

// durations leaves out the empty buckets, nearly all of them.
func durations(value metrics.Value) *runtimepb.Durations {
	found := &runtimepb.Durations{}
	if value.Kind() != metrics.KindFloat64Histogram {
		return found
	}
	histogram := value.Float64Histogram()
	for i, count := range histogram.Counts {
		if count == 0 {
			continue
		}
		below := histogram.Buckets[i+1]
		if math.IsInf(below, 1) {
			below = histogram.Buckets[i]
		}
		found.Buckets = append(found.Buckets, &runtimepb.Durations_Bucket{BelowS: below, Count: count})
	}
	return found
}
