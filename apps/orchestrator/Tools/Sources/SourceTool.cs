using System.Text.Json;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>What a source answered to a call.</summary>
/// <param name="Text">For the model.</param>
/// <param name="Value">The result as JSON, to be checked against the declared schema; null when it is none.</param>
internal readonly record struct SourceReply(string Text, JsonElement? Value);

/// <summary>Makes calls to sources of one kind.</summary>
internal interface ISourceCalls
{
    /// <summary><c>openapi</c> or <c>mcp</c>.</summary>
    string Kind { get; }

    /// <summary>One attempt at a call.</summary>
    /// <exception cref="ToolException">It failed.</exception>
    Task<SourceReply> CallAsync(ToolSource source, ImportedTool tool, ToolContext context, JsonElement arguments, CancellationToken cancellationToken);
}

/// <summary>A tool of a tenant's source.</summary>
internal sealed class SourceTool(ToolSource source, ImportedTool tool, ISourceCalls calls, SourcePipelines pipelines, TimeProvider time) : ITool
{
    // A schema that cannot be compiled was left out when the source was read.
    private readonly Lazy<JsonShape?> _result = new(() => tool.Result is { } schema && source.Spec.ValidateResults != false ? JsonShape.TryParse(schema, out _) : null);

    public string Name { get; } = ToolNames.Full(source.Slug, tool.Name);

    public string WireName { get; } = ToolNames.Wire(source.Slug, tool.Name);

    // Tenants name their tools: as values of a label there would be no end of them.
    public string MetricName => calls.Kind;

    public bool IsDestructive => tool.Destructive == true;

    public bool HasLargeResults => true;

    public string Description => tool.Description;

    public string ParametersSchema { get; } = tool.Parameters.GetRawText();

    /// <summary>As its source described it.</summary>
    public ImportedTool Imported => tool;

    public byte[] Definition => field ??= ToolRegistry.Define(WireName, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => tool.Effect;

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        SourceReply reply = await pipelines.Of(source, repeatable: tool.Effect != ToolEffect.Unsafe)
            .RunAsync(token => AttemptAsync(context, arguments, token), cancellationToken);
        if (_result.Value is { } shape) Check(shape, reply);
        return new ToolResult(reply.Text) { CostUsd = source.Spec.CostUsd ?? 0m };
    }

    private async Task<SourceReply> AttemptAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        double seconds = context.Settings.TimeoutSeconds ?? source.Spec.Limits?.TimeoutSeconds ?? ToolSource.DefaultTimeoutSeconds;
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(seconds), time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            return await calls.CallAsync(source, tool, context, arguments, limit.Token);
        }
        catch (Exception e) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested && e is not ToolException)
        {
            throw new ToolException($"'{source.Slug}' did not answer within {seconds:0.#} s.") { Code = ToolErrorCodes.Timeout, IsTransient = true };
        }
    }

    private void Check(JsonShape shape, SourceReply reply)
    {
        if (reply.Value is not { } value) throw new ToolException("The tool declares a JSON result, and returned something else.") { Code = ToolErrorCodes.InvalidResult };
        if (shape.Check(value) is { Count: > 0 } problems)
            throw new ToolException($"The result does not fit the schema that the tool declares: {string.Join("; ", problems)}.") { Code = ToolErrorCodes.InvalidResult };
    }
}
