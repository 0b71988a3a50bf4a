using System.Text;
using System.Text.Json;
using CsCheck;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging.Spool;
using Xunit;

namespace MultiAgent.Messaging.Tests;

/// <summary>What the spool writes by hand is what the serializer reads.</summary>
public sealed class RecordJsonTests
{
    private static readonly Gen<string> Text = Gen.OneOf(Gen.String, Gen.String[Gen.Char.AlphaNumeric, 0, 40], Gen.Const("\"quoted\" \\ \u0001 Zürich 東京 🚀 </script>"), Gen.String[Gen.Char, 0, 5000])
        .Where(t => new UTF8Encoding(false, false).GetString(Encoding.UTF8.GetBytes(t)) == t);

    private static readonly Gen<string?> Maybe = Gen.OneOf(Text.Select(t => (string?)t), Gen.Const((string?)null));
    private static readonly Gen<double> Milliseconds = Gen.Long[0, 1_000_000_000_000].Select(t => t / 1000.0);
    private static readonly Gen<DateTimeOffset> Time = Gen.Long[0, 4_000_000_000_000].Select(DateTimeOffset.FromUnixTimeMilliseconds);

    [Fact]
    public void Write_UsageRecord_ReadsBackEqual() =>
        Gen.Select(Gen.Select(Text, Text, Maybe, Maybe), Gen.Select(Text, Maybe, Gen.Bool, Gen.Decimal), Gen.Select(Gen.Long, Gen.Long[0, 10_000_000], Gen.Int[0, 50]), Gen.Select(Milliseconds, Milliseconds, Time))
            .Sample((texts, more, numbers, times) =>
            {
                var record = new UsageRecord
                {
                    Id = texts.Item1, TenantId = texts.Item2, ApiKeyId = texts.Item3, UserId = texts.Item4, RequestId = more.Item1, RunId = more.Item2, Agent = texts.Item4,
                    Operation = "chat", RequestedModel = more.Item1, Model = texts.Item2, Provider = texts.Item1, InputTokens = numbers.Item1, CachedInputTokens = numbers.Item2,
                    OutputTokens = numbers.Item2, Estimated = more.Item3, CostUsd = more.Item3 ? more.Item4 : null, Status = "ok", ErrorCode = more.Item2, Stream = !more.Item3,
                    Attempt = numbers.Item3, LatencyMs = times.Item1, FirstTokenMs = more.Item3 ? null : times.Item2, At = times.Item3,
                };
                Assert.Equal(record, JsonSerializer.Deserialize(RecordJson.Write(record), EventJson.Default.UsageRecord));
            }, iter: 2000);

    [Fact]
    public void Write_RequestRecord_ReadsBackEqual() =>
        Gen.Select(Text, Maybe, Maybe, Gen.Int[100, 599], Gen.Long[0, long.MaxValue], Milliseconds, Time).Sample((text, maybe, other, status, bytes, duration, at) =>
        {
            var record = new RequestRecord
            {
                Id = text, TenantId = text, ApiKeyId = maybe, UserId = other, RequestId = text, Method = "POST", Path = text, Route = maybe, Status = status, ErrorCode = other, DurationMs = duration,
                RequestBytes = maybe is null ? null : bytes, Model = other, RunId = maybe, UserAgent = other, ClientAddress = maybe, At = at,
            };
            Assert.Equal(record, JsonSerializer.Deserialize(RecordJson.Write(record), EventJson.Default.RequestRecord));
        }, iter: 2000);

    [Fact]
    public void Write_JourneyChange_ReadsBackEqual() =>
        Gen.Select(Text, Maybe, Maybe, Gen.Dictionary(Text, Text)[0, 5], Milliseconds, Time).Sample((text, maybe, other, metadata, duration, at) =>
        {
            var change = new JourneyChange
            {
                Id = text, JourneyId = text, TenantId = text, Kind = "recorded", Type = text, UserId = maybe, At = at, Step = other, Outcome = maybe,
                DurationMs = other is null ? null : duration, Metadata = maybe is null ? null : metadata,
            };
            JourneyChange read = JsonSerializer.Deserialize(RecordJson.Write(change), EventJson.Default.JourneyChange)!;
            Assert.Equal(change with { Metadata = null }, read with { Metadata = null });
            Assert.Equal(change.Metadata, read.Metadata);
        }, iter: 2000);

    [Fact]
    public void Write_TextThatIsNoUtf16_BecomesTheReplacementCharacter()
    {
        ReadOnlySpan<byte> json = RecordJson.Write(new JourneyChange { Id = "a", JourneyId = "b", TenantId = "c", Kind = "recorded", Type = "x\ud800y", At = DateTimeOffset.UnixEpoch });
        Assert.Equal("x\ufffdy", JsonSerializer.Deserialize(json, EventJson.Default.JourneyChange)!.Type);
    }
}
