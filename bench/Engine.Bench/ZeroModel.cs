using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Bench.Engine;

/// <summary>
/// A model without delay: whatever time a step takes is the engine's own. The agent <see cref="Caller"/> is told to call the tool as often as a workflow here has
/// steps, each time with other arguments, and then gets its answer.
/// </summary>
internal sealed class ZeroModel : IModelDispatcher
{
    public const string Caller = "caller";

    private static readonly ReadOnlySequence<byte> Answer = Completion(new { role = "assistant", content = "An order to Hue takes three days." }, "stop");

    private static readonly ReadOnlySequence<byte>[] Calls = [.. Enumerable.Range(0, BenchWorkflows.Steps).Select(n => Completion(
        new { role = "assistant", content = (string?)null, tool_calls = new[] { new { id = $"call_{n}", type = "function", function = new { name = "zero", arguments = $$"""{"n":{{n}}}""" } } } }, "tool_calls"))];

    private readonly ConcurrentDictionary<string, (int Turns, long At)> _runs = new();
    private readonly ConcurrentQueue<double> _turns = new();

    /// <summary>
    /// Takes the milliseconds that passed in the agent's runs from each call of the model to the next: the model's answer and the intention of the tool's call written, the tool called, its
    /// result written with the next call.
    /// </summary>
    public double[] TakeTurns()
    {
        double[] all = [.. _turns];
        _turns.Clear();
        Array.Sort(all);
        return all;
    }

    public ValueTask<ModelExchange> SendAsync(ModelCall call, CancellationToken cancellationToken)
    {
        if (call.Usage.Agent != Caller) return new(new Exchange(Answer));
        string run = call.Usage.RunId!;
        long now = Stopwatch.GetTimestamp();
        (int turns, long at) = _runs.GetValueOrDefault(run);
        if (turns > 0) _turns.Enqueue(Stopwatch.GetElapsedTime(at, now).TotalMilliseconds);
        if (turns == Calls.Length)
        {
            _runs.TryRemove(run, out _);
            return new(new Exchange(Answer));
        }
        _runs[run] = (turns + 1, now);
        return new(new Exchange(Calls[turns]));
    }

    private static ReadOnlySequence<byte> Completion(object message, string finish) => new(JsonSerializer.SerializeToUtf8Bytes(new
    {
        id = "chatcmpl-1",
        @object = "chat.completion",
        created = 1700000000,
        model = "zero",
        choices = new[] { new { index = 0, message, finish_reason = finish } },
        usage = new { prompt_tokens = 40, completion_tokens = 9, total_tokens = 49 },
    }));

    private sealed class Exchange(ReadOnlySequence<byte> body) : ModelExchange
    {
        private static readonly ModelEntry Entry = new()
        {
            Id = "zero/model", Provider = "zero", Name = "model", Listed = true,
            Deployments = [new Deployment { Id = "zero/model#0", Provider = "zero", ProviderType = "zero", UpstreamModel = "model", Timeouts = null!, Headers = FrozenDictionary<string, string>.Empty }],
        };

        public override int StatusCode => 200;
        public override bool IsEventStream => false;
        public override ModelEntry Model => Entry;
        public override int PriorAttempts => 0;
        public override PipeReader Body { get; } = PipeReader.Create(body);
        public override TokenUsage? Usage => new TokenUsage(40, 9);
        public override decimal? CostUsd => 0.0001m;

        public override ValueTask DisposeAsync() => default;
    }
}

/// <summary>A tool without delay.</summary>
internal sealed class ZeroTool : ITool
{
    private const string Schema = """{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}""";

    public string Name => "zero";
    public string Description => "Does nothing.";
    public string ParametersSchema => Schema;
    public byte[] Definition { get; } = ToolRegistry.Define("zero", "Does nothing.", Schema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken) => Task.FromResult(new ToolResult("""{"done":true}"""));
}
