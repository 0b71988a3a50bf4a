using System.Buffers;
using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Reads the blackboard.</summary>
internal sealed class BlackboardReadTool(Lazy<RunBlackboards> boards) : ITool
{
    public string Name => "blackboard_read";

    public string Description => "Reads the blackboard that you share with the other agents and steps of this task: all entries, or one by name. Each has its value, a version, a JSON schema, and how writes are merged with what is there.";

    public string ParametersSchema => """{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":64}},"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.None;

    /// <exception cref="ToolException">The run has none.</exception>
    public static async Task<Blackboard> BoardAsync(RunBlackboards boards, ToolContext context, CancellationToken cancellationToken) =>
        (context.Run is { } run ? await boards.FindAsync(run, cancellationToken) : null) ?? throw new ToolException("This task has no blackboard.") { Code = BlackboardCodes.NotDeclared };

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        Blackboard board = await BoardAsync(boards.Value, context, cancellationToken);
        string? name = arguments.TryGetProperty("name", out JsonElement wanted) ? wanted.GetString() : null;
        if (name is not null && !board.Entries.ContainsKey(name)) throw new ToolException($"The blackboard has no entry '{name}'. There are: {string.Join(", ", board.Entries.Keys)}.") { Code = BlackboardCodes.UnknownEntry };
        Dictionary<string, BlackboardWrite> last = (await boards.Value.ReadAsync(board)).ToDictionary(w => w.Name);
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, Json.WriterOptions))
        {
            json.WriteStartObject();
            foreach ((string entry, BlackboardEntry declared) in board.Entries)
                if (name is null || name == entry) Write(json, declared, last.GetValueOrDefault(entry));
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, BlackboardEntry entry, BlackboardWrite? last)
    {
        json.WriteStartObject(entry.Name);
        json.WritePropertyName("value"u8);
        if (last is not null) json.WriteRawValue(last.Value, skipInputValidation: true);
        else if (entry.Initial is { } initial) initial.WriteTo(json);
        else json.WriteNullValue();
        json.WriteNumber("version"u8, last?.Version ?? 0);
        if (last?.Agent is { } agent) json.WriteString("by"u8, agent);
        json.WriteString("merge"u8, entry.Merge.ToString().ToLowerInvariant());
        if (entry.Description is not null) json.WriteString("description"u8, entry.Description);
        json.WritePropertyName("schema"u8);
        entry.Shape.Source.WriteTo(json);
        json.WriteEndObject();
    }
}

/// <summary>Writes to the blackboard.</summary>
internal sealed class BlackboardWriteTool(Lazy<RunBlackboards> boards) : ITool
{
    public string Name => "blackboard_write";

    public string Description => "Writes an entry of the blackboard that you share with the other agents and steps of this task. The value follows the entry's schema and is merged with what is there as the entry says (replace, append, sum, max, min, merge). " +
        "With expectedVersion, as blackboard_read gives it, the write fails when somebody else has written since.";

    public string ParametersSchema => """{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":64},"value":{},"expectedVersion":{"type":"integer","minimum":0}},"required":["name","value"],"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    // A call that is repeated has the key of the first, and writes once.
    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        Blackboard board = await BlackboardReadTool.BoardAsync(boards.Value, context, cancellationToken);
        RunRecord run = context.Run!;
        // Of a workflow the key is the run and the step.
        var writer = run.Kind == RunKind.Workflow ? new BlackboardWriter(run, context.IdempotencyKey[run.Id.Length..], null, context.IdempotencyKey) : new BlackboardWriter(run, context.IdempotencyKey, run.Agent, context.IdempotencyKey);
        try
        {
            BlackboardWrite written = await boards.Value.WriteAsync(board, writer, arguments.GetProperty("name").GetString()!, arguments.GetProperty("value"), arguments.TryGetProperty("expectedVersion", out JsonElement expected) ? expected.GetInt64() : null);
            return new ToolResult($$"""{"version":{{written.Version}},"value":{{Encoding.UTF8.GetString(written.Value)}}}""") { Written = written };
        }
        catch (BlackboardException e)
        {
            throw new ToolException(e.Message) { Code = e.Code };
        }
    }
}
