using System.Net.Http.Headers;
using System.Text.Json;

namespace MultiAgent.Tenants.Tests;

/// <summary>A response as a client sees it.</summary>
public sealed record Reply(int Status, HttpResponseHeaders Headers, string Text)
{
    public JsonElement Json => JsonDocument.Parse(Text).RootElement;

    /// <summary>A string member of the body.</summary>
    public string this[string member] => Json.GetProperty(member).GetString()!;

    public string? Code => Text.Length > 0 && Json.TryGetProperty("code", out JsonElement code) ? code.GetString() : null;

    public Reply Expect(int status)
    {
        Xunit.Assert.True(Status == status, $"expected {status}, got {Status}: {Text}");
        return this;
    }

    public Reply Expect(int status, string code)
    {
        Expect(status);
        Xunit.Assert.Equal(code, Code);
        return this;
    }
}
