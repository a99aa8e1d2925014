package service

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"tandem.dev/clients/go/runtimepb"
)

func snapshot(t *testing.T) *runtimepb.SnapshotResponse {
	t.Helper()
	answer, err := (&Figures{Program: "case-go"}).Snapshot(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func sum(durations *runtimepb.Durations) uint64 {
	var all uint64
	for _, bucket := range durations.GetBuckets() {
		all += bucket.GetCount()
	}
	return all
}

func TestCountersOfTheCollectorGrowWithItsWork(t *testing.T) {
	before := snapshot(t).GetGo()
	kept := make([]byte, 1<<20)
	runtime.GC()
	runtime.GC()
	runtime.KeepAlive(kept)
	after := snapshot(t).GetGo()
	if after.GetGcCycles() < before.GetGcCycles()+2 {
		t.Errorf("cycles went from %d to %d", before.GetGcCycles(), after.GetGcCycles())
	}
	if after.GetAllocatedBytes() < before.GetAllocatedBytes()+1<<20 {
		t.Errorf("allocated went from %d to %d", before.GetAllocatedBytes(), after.GetAllocatedBytes())
	}
	// A cycle stops all goroutines twice.
	if sum(after.GetGcPauses()) < sum(before.GetGcPauses())+4 {
		t.Errorf("pauses went from %d to %d", sum(before.GetGcPauses()), sum(after.GetGcPauses()))
	}
	if after.GetGcCpuS() <= 0 || after.GetUserCpuS() <= 0 {
		t.Errorf("%v and %v seconds", after.GetGcCpuS(), after.GetUserCpuS())
	}
	for _, bucket := range after.GetScheduling().GetBuckets() {
		if bucket.GetCount() == 0 || math.IsInf(bucket.GetBelowS(), 0) {
			t.Errorf("a bucket is %v", bucket)
		}
	}
}

func TestWhatRunsIsSaid(t *testing.T) {
	answer := snapshot(t)
	if answer.GetProgram() != "case-go" || answer.GetVersion() != Version || answer.GetAllocator() != "go" {
		t.Errorf("%v", answer)
	}
	if answer.GetBuild().GetToolchain() != runtime.Version() || answer.GetBuild().GetProfile() == "" {
		t.Errorf("%v", answer.GetBuild())
	}
	if answer.GetParallelism() != uint32(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d threads", answer.GetParallelism())
	}
}

func TestHowTheCollectorIsTunedIsSaid(t *testing.T) {
	percent, limit := debug.SetGCPercent(250), debug.SetMemoryLimit(1<<40)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	tuned := snapshot(t).GetGo()
	if tuned.GetGogcPercent() != 250 || tuned.GetMemoryLimitBytes() != 1<<40 {
		t.Errorf("%d %%, %d bytes", tuned.GetGogcPercent(), tuned.GetMemoryLimitBytes())
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(math.MaxInt64)
	off := snapshot(t).GetGo()
	if off.GetGogcPercent() != -1 || off.MemoryLimitBytes != nil {
		t.Errorf("%d %%, %v", off.GetGogcPercent(), off.MemoryLimitBytes)
	}
}
