using System.Text.Json;
using MultiAgent.Contracts.Clients;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>Three agents to begin with. They name no model: the configured provider answers, or without one the built-in local model.</summary>
internal sealed class ExampleAgents(AgentCommands commands) : ITenantSeeder
{
    public async Task SeedAsync(string tenantId, CancellationToken cancellationToken)
    {
        foreach (AgentSpec agent in All) await commands.CreateAsync(tenantId, agent, "example", cancellationToken);
    }

    internal static IReadOnlyList<AgentSpec> All { get; } =
    [
        new()
        {
            Slug = "assistant",
            Name = "Assistant",
            Description = "A general helper that knows the time and can calculate.",
            Instructions = """
                You are a helpful assistant. Answer in the language of the user, briefly and to the point.
                Use the tool current_time for anything that depends on today's date or the time, and the tool calculator for every calculation, however small.
                When you do not know something, say so.
                """,
            Tools = [new AgentTool { Name = "current_time" }, new AgentTool { Name = "calculator" }],
            OnBusy = "queue",
        },
        new()
        {
            Slug = "support",
            Name = "Customer support",
            Description = "First line of a shop's customer support: understands the request, answers what the shop's rules answer, and hands over the rest.",
            Instructions = """
                You are the first line of customer support of {{ shop_name }}. You are polite, calm and brief, and address the customer formally.

                For each message:
                1. Say in one sentence what you understood.
                2. Answer it if the rules below answer it. Never promise anything beyond them.
                3. If something is missing, ask for exactly what is missing, e.g. the order number.
                4. If the rules do not cover it, or the customer is upset, say that a colleague will answer within {{ answer_hours }} hours{% if contact_email %} or can be reached at {{ contact_email }}{% endif %}.

                Rules:
                - Returns are free within {{ return_days }} days of delivery, unused and in the original packaging. Refunds arrive within 5 working days after the parcel is back.
                - Damaged or wrong items are replaced at once; ask for a photo.
                - Delivery takes 2 to 4 working days.
                - Never ask for passwords or full card numbers.
                """,
            Variables =
            [
                new AgentVariable { Name = "shop_name", Description = "Name of the shop", Default = Value("\"our shop\"") },
                new AgentVariable { Name = "return_days", Description = "Days within which goods may be returned", Default = Value("30") },
                new AgentVariable { Name = "answer_hours", Description = "Hours within which a person answers", Default = Value("24") },
                new AgentVariable { Name = "contact_email", Description = "Where a person can be reached" },
            ],
            OnBusy = "queue",
        },
        new()
        {
            Slug = "extractor",
            Name = "Extractor",
            Description = "Turns a text into JSON: summary, language, people, dates and amounts.",
            Instructions = """
                Extract what the text says into JSON that follows the given schema. Take everything from the text; leave a list empty when the text has nothing for it.
                Write dates as YYYY-MM-DD where the text gives day, month and year, and otherwise as they stand.
                """,
            ResponseFormat = Value("""
                {"type":"object","properties":{
                "summary":{"type":"string","description":"One sentence"},
                "language":{"type":"string","description":"ISO 639-1 code"},
                "people":{"type":"array","items":{"type":"string"}},
                "dates":{"type":"array","items":{"type":"string"}},
                "amounts":{"type":"array","items":{"type":"string"}}},
                "required":["summary","language","people","dates","amounts"],"additionalProperties":false}
                """),
            Temperature = 0,
        },
    ];

    private static JsonElement Value(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }
}
