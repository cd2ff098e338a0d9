// A service in Go with the official SDK as it comes: it makes numbered spans, log records, collections of metrics and
// durations of requests until SIGTERM, and says how many on stdout, as tests/faults/load.py does.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type order struct {
	Endpoint string  `json:"endpoint"`
	Name     string  `json:"name"`
	Rate     float64 `json:"rate"` // spans a second, and as many log records
	First    int     `json:"first"`
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	if os.Args[1] == "--version" {
		fmt.Println("otel-go-load", otel.Version())
		return
	}
	var asked order
	if err := json.Unmarshal([]byte(os.Args[1]), &asked); err != nil {
		panic(err)
	}
	ctx := context.Background()
	service := resource.NewSchemaless(
		attribute.String("service.name", asked.Name), attribute.String("service.instance.id", asked.Name))

	spans := must(otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(asked.Endpoint+"/v1/traces")))
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(service))
	records := must(otlploghttp.New(ctx, otlploghttp.WithEndpointURL(asked.Endpoint+"/v1/logs")))
	loggers := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewBatchProcessor(records)), sdklog.WithResource(service))
	points := must(otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(asked.Endpoint+"/v1/metrics")))
	reader := sdkmetric.NewPeriodicReader(points, sdkmetric.WithInterval(time.Second))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(service))

	var collections atomic.Int64
	meter := meters.Meter("load")
	must(meter.Int64ObservableCounter("faults.collections", metric.WithInt64Callback(
		func(_ context.Context, observer metric.Int64Observer) error {
			observer.Observe(collections.Add(1))
			return nil
		})))
	durations := must(meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(
			.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)))
	route := metric.WithAttributes(attribute.String("http.request.method", "GET"),
		attribute.Int("http.response.status_code", 200), attribute.String("http.route", "/items"))

	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	tracer, logger := tracers.Tracer("load"), loggers.Logger("load")
	began, made, parent := time.Now(), asked.First, ctx
	for running := true; running; {
		due := asked.First + int(time.Since(began).Seconds()*asked.Rate)
		for ; made < due; made++ {
			if made%100 == 0 || !trace.SpanContextFromContext(parent).IsValid() {
				var root trace.Span
				parent, root = tracer.Start(ctx, fmt.Sprintf("root-%d", made))
				root.End()
			}
			_, span := tracer.Start(parent, fmt.Sprintf("s-%d", made))
			span.End()
			var record log.Record
			record.SetBody(attribute.StringValue(fmt.Sprintf("s-%d", made)))
			logger.Emit(parent, record)
			durations.Record(parent, 0.02, route)
		}
		fmt.Printf("{\"made\": %d, \"collections\": %d}\n", made, collections.Load())
		select {
		case <-stopped:
			running = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	last, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tracers.Shutdown(last)
	meters.Shutdown(last)
	loggers.Shutdown(last)
	fmt.Printf("{\"made\": %d, \"collections\": %d}\n", made, collections.Load())
}
