using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Messaging;

/// <summary>
/// <c>tenant_model_calls_total</c>, <c>tenant_model_tokens_total</c> and <c>tenant_model_cost_usd_total</c>: who uses the
/// deployment. The number of tenants with a label of their own is bounded by <see cref="TelemetryOptions"/>; the rest are one.
/// </summary>
internal sealed class TenantMetrics
{
    private readonly ConcurrentDictionary<string, Sums> _sums = new(StringComparer.Ordinal);
    private readonly BoundedLabel _tenants;

    public TenantMetrics(IOptions<TelemetryOptions> options)
    {
        _tenants = new BoundedLabel(options.Value.MaxTenants, options.Value.Tenants);
        PlatformTelemetry.Meter.CreateObservableCounter("tenant_model_calls", () => Read(static s => Interlocked.Read(ref s.Calls)), null, "Model calls by tenant; the tenants beyond the configured number are 'other'.");
        PlatformTelemetry.Meter.CreateObservableCounter("tenant_model_tokens", () => Read(static s => Interlocked.Read(ref s.Tokens)), null, "Input and output tokens by tenant.");
        PlatformTelemetry.Meter.CreateObservableCounter("tenant_model_cost_usd", () => Read(static s => Interlocked.Read(ref s.NanoUsd) / 1e9), null, "US dollars of model calls with a known price, by tenant.");
    }

    public void Count(UsageRecord record)
    {
        string label = _tenants.Of(record.TenantId);
        if (!_sums.TryGetValue(label, out Sums? sums)) sums = _sums.GetOrAdd(label, static l => new Sums(l));
        Interlocked.Increment(ref sums.Calls);
        Interlocked.Add(ref sums.Tokens, record.InputTokens + record.OutputTokens);
        if (record.CostUsd is { } usd) Interlocked.Add(ref sums.NanoUsd, (long)(usd * 1_000_000_000m));
    }

    private IEnumerable<Measurement<T>> Read<T>(Func<Sums, T> value) where T : struct => _sums.Values.Select(s => new Measurement<T>(value(s), s.Label));

    private sealed class Sums(string tenant)
    {
        public readonly KeyValuePair<string, object?> Label = new("tenant", tenant);
        public long Calls;
        public long Tokens;
        public long NanoUsd;
    }
}
