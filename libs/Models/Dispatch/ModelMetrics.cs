using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Dispatch;

/// <summary>
/// Metrics of model calls. Labels are bounded: models outside the catalogue count as <c>unlisted</c>, since their names are the
/// clients'. The <c>gen_ai</c> histograms follow the OpenTelemetry GenAI semantic conventions.
/// </summary>
internal sealed class ModelMetrics
{
    public const string MeterName = "MultiAgent.Models";

    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 80],
    };

    // The boundaries that the conventions ask for.
    private static readonly InstrumentAdvice<long> Tokens = new()
    {
        HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864],
    };

    private readonly Counter<long> _errors;
    private readonly Counter<long> _fallbacks;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<long> _usage;

    // Tag values and sums of a model, found once per call.
    private readonly ConcurrentDictionary<string, ModelTags> _tags = new(StringComparer.Ordinal);

    public ModelMetrics(DeploymentHealthRegistry health)
    {
        var meter = new Meter(MeterName);
        // Sums that are read when somebody collects: the library's own counters look their series up at every call.
        meter.CreateObservableCounter("model_tokens", () => _tags.Values.SelectMany(static t => t.Tokens()), null, "Tokens used, by model and kind.");
        meter.CreateObservableCounter("model_cost_usd", () => _tags.Values.Select(static t => new Measurement<double>(Interlocked.Read(ref t.NanoUsd) / 1e9, t.Model)), null, "US dollars of model calls with a known price.");
        meter.CreateObservableCounter("model_calls_with_unknown_cost", () => _tags.Values.Select(static t => new Measurement<long>(Interlocked.Read(ref t.UnknownCost), t.Model)), null, "Model calls whose price is not in the catalogue.");
        _errors = meter.CreateCounter<long>("provider_errors", null, "Failed attempts at a provider, by kind.");
        _fallbacks = meter.CreateCounter<long>("model_fallbacks", null, "Answers that came from a fallback instead of the requested model.");
        _duration = meter.CreateHistogram("gen_ai.client.operation.duration", "s", "Time of a model call.", null, Seconds);
        _firstToken = meter.CreateHistogram("model_time_to_first_token", "s", "Time from the call to the first byte of the answer.", null, Seconds);
        _usage = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of a model call.", null, Tokens);
        meter.CreateObservableGauge("model_circuit_state", () => health.All.Select(h =>
            new Measurement<int>((int)h.State, new KeyValuePair<string, object?>("deployment", h.DeploymentId))), null, "0 closed, 1 half open, 2 open.");
    }

    public void Completed(ModelEntry model, string operation, string status, in TokenUsage usage, decimal? cost, TimeSpan duration, TimeSpan? firstToken)
    {
        ModelTags tags = TagsOf(model);
        Interlocked.Add(ref tags.InputTokens, usage.InputTokens);
        Interlocked.Add(ref tags.OutputTokens, usage.OutputTokens);
        if (usage.CachedInputTokens > 0) Interlocked.Add(ref tags.CachedTokens, usage.CachedInputTokens);
        if (cost is { } usd) Interlocked.Add(ref tags.NanoUsd, (long)(usd * 1_000_000_000m));
        else Interlocked.Increment(ref tags.UnknownCost);
        var durationTags = new TagList
        {
            { "gen_ai.operation.name", operation },
            { "gen_ai.provider.name", model.Provider },
            { "gen_ai.request.model", tags.Name },
            { "status", status },
        };
        _duration.Record(duration.TotalSeconds, durationTags);
        _usage.Record(usage.InputTokens, UsageTags(operation, model, tags, "input"));
        _usage.Record(usage.OutputTokens, UsageTags(operation, model, tags, "output"));
        if (firstToken is { } first) _firstToken.Record(first.TotalSeconds, tags.Model);
    }

    private static TagList UsageTags(string operation, ModelEntry model, ModelTags tags, string type) => new()
    {
        { "gen_ai.operation.name", operation },
        { "gen_ai.provider.name", model.Provider },
        { "gen_ai.request.model", tags.Name },
        { "gen_ai.token.type", type },
    };

    public void Error(string provider, string kind) =>
        _errors.Add(1, new KeyValuePair<string, object?>("provider", provider), new KeyValuePair<string, object?>("kind", kind));

    public void FellBack(ModelEntry model) => _fallbacks.Add(1, TagsOf(model).Model);

    private ModelTags TagsOf(ModelEntry model) => _tags.GetOrAdd(model.Listed ? model.Id : $"{model.Provider}/unlisted", static id => new ModelTags(id));

    private sealed class ModelTags(string name)
    {
        public readonly string Name = name;
        public readonly KeyValuePair<string, object?> Model = new("model", name);
        public long InputTokens;
        public long OutputTokens;
        public long CachedTokens;
        public long NanoUsd;
        public long UnknownCost;

        public Measurement<long>[] Tokens() =>
        [
            new(Interlocked.Read(ref InputTokens), Model, new("kind", "input")),
            new(Interlocked.Read(ref OutputTokens), Model, new("kind", "output")),
            new(Interlocked.Read(ref CachedTokens), Model, new("kind", "cached_input")),
        ];
    }
}
