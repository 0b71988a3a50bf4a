using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Tools.Results;
using NJsonSchema;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>What a message does that comes while a run of its conversation is active.</summary>
internal enum BusyPolicy
{
    Reject,
    Queue,
    Interrupt,
}

/// <summary>
/// One version of an agent, ready to run: everything that a request would otherwise parse, compile or serialise again.
/// Immutable and shared.
/// </summary>
internal sealed class CompiledAgent
{
    private readonly ITool? _readOn;
    private ITool?[] _found = [];
    private CompiledAgent? _bound;

    /// <summary>Before a model's name in the id of an agent that is nothing but this model.</summary>
    public const string ModelPrefix = "model:";

    // Far above the time limits of the model calls themselves.
    private const int ModelSeconds = 3600;

    private CompiledAgent(string id, string tenantId, string slug, int version, AgentSpec spec, InstructionsTemplate instructions, ToolRegistry registry)
    {
        Id = id;
        TenantId = tenantId;
        Slug = slug;
        Version = version;
        Spec = spec;
        Instructions = instructions;
        Model = spec.Model ?? (spec.Tier is null ? "auto" : $"auto/{spec.Tier}");
        OnBusy = spec.OnBusy switch { "queue" => BusyPolicy.Queue, "interrupt" => BusyPolicy.Interrupt, _ => BusyPolicy.Reject };
        MaxSteps = spec.Limits?.MaxSteps ?? AgentLimits.DefaultMaxSteps;
        MaxTime = TimeSpan.FromSeconds(spec.Limits?.MaxSeconds ?? AgentLimits.DefaultMaxSeconds);
        _readOn = registry.Find(ReadToolResultTool.ToolName);
        ITool?[] builtIn = [.. (spec.Tools ?? []).Select(t => registry.Find(t.Name!))];
        NeedsBinding = builtIn.Contains(null);
        (Tools, ToolsJson) = Take(builtIn);
        if (instructions.Constant is { Length: > 0 } constant) SystemMessage = MessageOf(constant);
        ResponseFormat = spec.ResponseFormat is { } schema ? ResponseFormatOf(slug, schema) : null;
        ResponseSchema = spec.ResponseFormat is { } text ? JsonSchema.FromJsonAsync(text.GetRawText()).GetAwaiter().GetResult() : null;
    }

    public string Id { get; }
    public string TenantId { get; }
    public string Slug { get; }
    public int Version { get; }
    public AgentSpec Spec { get; }
    public InstructionsTemplate Instructions { get; }

    /// <summary>The name that the dispatcher resolves.</summary>
    public string Model { get; }
    public BusyPolicy OnBusy { get; }
    public int MaxSteps { get; }
    public TimeSpan MaxTime { get; }
    /// <summary>By the names that models call them.</summary>
    public FrozenDictionary<string, BoundTool> Tools { get; private set; }

    /// <summary>It lists tools that are not built in: <see cref="Bind"/> gives it those.</summary>
    public bool NeedsBinding { get; }

    /// <summary>The system message in the OpenAI dialect, where it is the same for every run.</summary>
    public byte[]? SystemMessage { get; }

    /// <summary>The agent's tools in the OpenAI dialect, one object each.</summary>
    public byte[][] ToolsJson { get; private set; }

    /// <summary>The value of <c>response_format</c>, when the agent has one.</summary>
    public byte[]? ResponseFormat { get; }

    /// <summary>Checks final answers, when the agent has a response format.</summary>
    public JsonSchema? ResponseSchema { get; }

    /// <exception cref="InvalidOperationException">The stored definition does not compile, though it was checked when it was saved.</exception>
    public static CompiledAgent Compile(string id, string tenantId, string slug, int version, string definition, ToolRegistry registry)
    {
        AgentSpec spec = JsonSerializer.Deserialize(definition, AgentJson.Default.AgentSpec)!;
        var errors = new List<string>();
        InstructionsTemplate instructions = InstructionsTemplate.TryParse(spec.Instructions ?? "", spec.Variables ?? [], errors)
            ?? throw new InvalidOperationException($"Agent {slug} version {version}: instructions {errors[0]}");
        return new CompiledAgent(id, tenantId, slug, version, spec, instructions, registry);
    }

    /// <summary>The agent with these tools, one for each that it lists; those that are null are not there any more, and are left out.</summary>
    public CompiledAgent Bind(ITool?[] tools)
    {
        if (Volatile.Read(ref _bound) is { } kept && kept._found.AsSpan().SequenceEqual(tools)) return kept;
        var bound = (CompiledAgent)MemberwiseClone();
        (bound._found, bound._bound) = (tools, null);
        (bound.Tools, bound.ToolsJson) = Take(tools);
        Volatile.Write(ref _bound, bound);
        return bound;
    }

    // What its author calls destructive is asked for, unless the agent says otherwise.
    private static ApprovalRule? RuleOf(ITool tool, AgentTool settings) =>
        ApprovalRule.Compile(settings.Approval ?? (tool.IsDestructive ? new ToolApproval { Mode = ToolApproval.Always } : null));

    private (FrozenDictionary<string, BoundTool> Tools, byte[][] Json) Take(ITool?[] found)
    {
        List<BoundTool> bound = [.. (Spec.Tools ?? []).Zip(found).Where(t => t.Second is not null).Select(t => new BoundTool(t.Second!, t.First, RuleOf(t.Second!, t.First)))];
        // Whoever may get a part of a result can read on.
        if (_readOn is not null && bound.Exists(t => t.Tool.HasLargeResults) && !bound.Exists(t => t.Tool == _readOn)) bound.Add(new BoundTool(_readOn, new AgentTool { Name = _readOn.Name }, null));
        return (bound.ToFrozenDictionary(t => t.Tool.WireName, StringComparer.Ordinal), [.. bound.Select(t => t.Tool.Definition)]);
    }

    /// <summary>An agent that is nothing but a model, for requests that name one and are runs all the same.</summary>
    public static CompiledAgent OfModel(string tenantId, string model, ToolRegistry registry)
    {
        var spec = new AgentSpec { Slug = model, Name = model, Model = model, Limits = new AgentLimits { MaxSteps = 1, MaxSeconds = ModelSeconds } };
        return new CompiledAgent(ModelPrefix + model, tenantId, model, 0, spec, InstructionsTemplate.TryParse("", [], [])!, registry);
    }

    /// <summary>The system message for the given values; null when the agent has no instructions.</summary>
    public byte[]? RenderSystemMessage(IReadOnlyDictionary<string, JsonElement>? variables)
    {
        if (SystemMessage is not null || Instructions.Constant is not null) return SystemMessage;
        string text = Instructions.Render(variables);
        return text.Length == 0 ? null : MessageOf(text);
    }

    private static byte[] MessageOf(string text)
    {
        var buffer = new ArrayBufferWriter<byte>(text.Length + 64);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("role"u8, "system"u8);
        json.WriteString("content"u8, text);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static byte[] ResponseFormatOf(string slug, JsonElement schema) =>
        Encoding.UTF8.GetBytes("{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"" + slug.Replace('-', '_') + "\",\"schema\":" + schema.GetRawText() + "}}");
}

/// <summary>A tool with an agent's settings for it.</summary>
/// <param name="Tool">The tool.</param>
/// <param name="Settings">The agent's.</param>
/// <param name="Approval">Which calls a person has to agree to; null when none.</param>
internal sealed record BoundTool(ITool Tool, AgentTool Settings, ApprovalRule? Approval);
