using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>A case of a <see cref="SwitchStep"/>.</summary>
public sealed record SwitchCase(string Key, Condition When, IReadOnlyList<Step> Steps);

/// <summary><c>switch</c>: the first case whose condition holds, or the default. Its output is that of the last step that ran in it.</summary>
public sealed record SwitchStep(StepHead Head) : Step(Head), IStepType<SwitchStep>
{
    public const string DefaultKey = "default";

    public required IReadOnlyList<SwitchCase> Cases { get; init; }
    public IReadOnlyList<Step>? Default { get; init; }

    public override IReadOnlyList<StepBlock> Blocks =>
        [.. Cases.Select(c => new StepBlock(c.Key, c.When.Source, c.Steps)), .. Default is null ? Array.Empty<StepBlock>() : [new StepBlock(DefaultKey, DefaultKey, Default)]];

    public static string TypeName => "switch";

    public static StepKind Kind => StepKind.Container;

    public static string Schema => """
        {"properties": {
          "cases": {"type": "array", "minItems": 1, "maxItems": 50, "description": "The first whose condition holds is taken.", "items": {
            "type": "object", "additionalProperties": false, "required": ["when", "steps"],
            "properties": {"when": {"$ref": "#/definitions/condition"}, "steps": {"$ref": "#/definitions/steps"}}}},
          "default": {"$ref": "#/definitions/steps", "description": "Taken when no case holds."}
        }, "required": ["cases"]}
        """;

    public static SwitchStep Read(StepReader reader) => new(reader.Head)
    {
        Cases = reader.Objects("cases", 1, 50, (item, index) => new SwitchCase($"case{index}", item.Condition("when"), item.Steps("steps", $"case{index}"))),
        Default = reader.Has("default") ? reader.Steps("default", DefaultKey) : null,
    };
}
