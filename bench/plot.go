package main

import (
	"errors"
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// palette is safe for colour-blind readers (Okabe and Ito).
var palette = []color.Color{
	color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
	color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
}

const width, height = 18 * vg.Centimeter, 10 * vg.Centimeter

// plot writes the plots of BENCHMARKS.md into the directory.
func (r *Results) plot(dir string) error {
	return errors.Join(
		r.plotThroughput(filepath.Join(dir, "throughput.svg")),
		r.plotLatency(filepath.Join(dir, "latency.svg")),
		r.plotGrowth(filepath.Join(dir, "growth.svg")))
}

// plotThroughput shows rates, as multiples of the baselines, against connections.
func (r *Results) plotThroughput(path string) error {
	p := newPlot("Throughput", "connections", "× pgbench with 16 clients")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticksAt(1, 16, 64, 256)
	for i, load := range []string{restGet, restActive, restItem, restAdd, restQuantity, restMix} {
		var points plotter.XYs
		for _, clients := range []int{1, 16, 64, 256} {
			s := r.main(load, clients)
			times := spread(ratios(s.values(rate), r.baseline(s.Key).values(rate))).Median
			points = append(points, plotter.XY{X: float64(clients), Y: times})
		}
		if err := addLine(p, load, i, points); err != nil {
			return err
		}
	}
	return p.Save(width, height, path)
}

// plotLatency shows percentiles at 64 connections as bars side by side.
func (r *Results) plotLatency(path string) error {
	p := newPlot("Latency at 64 connections", "", "ms")
	loads := []string{restGet, restActive, restItem, restAdd, restQuantity, restMix, rpcGet, rpcItem}
	const bar = 14 // points wide
	for i, percentile := range []struct {
		name string
		of   func(Sample) float64
	}{{"p50", p50}, {"p99", p99}, {"p99.9", p999}} {
		var values plotter.Values
		for _, load := range loads {
			values = append(values, spread(r.main(load, 64).values(percentile.of)).Median)
		}
		bars, err := plotter.NewBarChart(values, vg.Points(bar))
		if err != nil {
			return err
		}
		bars.Color, bars.LineStyle.Width, bars.Offset = palette[i], 0, vg.Points(bar*float64(i-1))
		p.Add(bars)
		p.Legend.Add(percentile.name, bars)
	}
	p.NominalX("GET", "active", "item", "add-item", "quantity", "mix", "gRPC get", "gRPC item")
	return p.Save(width, height, path)
}

// plotGrowth shows rates at 64 connections against the number of carts, as shares of the rate with 10,000 carts.
func (r *Results) plotGrowth(path string) error {
	p := newPlot("Growth", "carts", "rate / rate with 10,000 carts")
	sizes := []int{10_000, 100_000, 1_000_000}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticksAt(sizes...)
	p.Legend.Top = false
	for i, load := range []string{restGet, restItem} {
		var points plotter.XYs
		for _, carts := range sizes {
			share := spread(ratios(r.sized(load, carts).values(rate), r.sized(load, 10_000).values(rate))).Median
			points = append(points, plotter.XY{X: float64(carts), Y: share})
		}
		if err := addLine(p, load, i, points); err != nil {
			return err
		}
	}
	return p.Save(width, height, path)
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.BackgroundColor = color.White
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	return p
}

func addLine(p *plot.Plot, name string, i int, points plotter.XYs) error {
	line, marks, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width, marks.Color = palette[i], vg.Points(1.5), palette[i]
	p.Add(line, marks)
	p.Legend.Add(name, line, marks)
	return nil
}

func ticksAt(values ...int) plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for _, v := range values {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: fmt.Sprint(v)})
	}
	return ticks
}
