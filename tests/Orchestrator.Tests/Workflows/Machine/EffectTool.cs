using System.Collections.Concurrent;
using System.Text.Json;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Tests.Workflows.Machine;

/// <summary>A tool that keeps its effects by their keys, as a service with idempotency keys would. Its argument says how it behaves.</summary>
internal sealed class EffectTool : ITool
{
    private const string Schema = """{"type":"object","properties":{"what":{"type":"string"}},"required":["what"]}""";

    private readonly ConcurrentDictionary<string, string> _effects = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, byte> _tried = new(StringComparer.Ordinal);

    private int _repeated;

    public string Name => "record";
    public string Description => "Records.";
    public string ParametersSchema => Schema;
    public byte[] Definition { get; } = ToolRegistry.Define("record", "Records.", Schema);

    /// <summary>Calls that came again.</summary>
    public int Repeated => Volatile.Read(ref _repeated);

    /// <summary>Keys that came with something else than at first.</summary>
    public ConcurrentQueue<string> Changed { get; } = new();

    /// <summary>The effects of a run, by place.</summary>
    public string Of(string runId) => string.Join('\n', _effects.Where(e => e.Key.StartsWith(runId, StringComparison.Ordinal)).Select(e => $"{e.Key[runId.Length..]}: {e.Value}").Order(StringComparer.Ordinal));

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        string what = arguments.GetProperty("what").GetString()!, key = context.IdempotencyKey;
        switch (what.Split(' ')[0])
        {
            case "fail":
            case "once" when _tried.TryAdd(key, 0):
                throw new ToolException($"It does not {what}.");
            case "stuck":
                await Task.Delay(Timeout.Infinite, cancellationToken);
                break;
        }
        if (_effects.TryAdd(key, what)) return what;
        Interlocked.Increment(ref _repeated);
        if (_effects[key] != what) Changed.Enqueue(key);
        return what;
    }
}
