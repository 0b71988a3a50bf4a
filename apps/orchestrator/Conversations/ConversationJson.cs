using System.Text.Json.Serialization;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Conversations;

/// <summary>JSON of what is stored with conversations and runs.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(StartRunRequest))]
internal sealed partial class ConversationJson : JsonSerializerContext;
