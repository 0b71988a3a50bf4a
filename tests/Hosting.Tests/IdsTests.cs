using System.Numerics;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Contracts;
using Xunit;

namespace MultiAgent.Hosting.Tests;

public sealed class IdsTests
{
    private const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    [Fact]
    public void New_IsBase32OfAUuidVersion7_WithItsTimeInFront()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_795_469_132_123));
        for (int i = 0; i < 200; i++)
        {
            string id = Ids.New("run", time);
            Assert.True(Ids.IsValid(id, "run"));
            BigInteger value = Value(id);
            Assert.Equal(1_795_469_132_123, value >> 80);
            Assert.Equal(7, (value >> 76) & 15);
            Assert.Equal(2, (value >> 62) & 3);
        }
    }

    [Fact]
    public void New_OfLaterTimes_SortsAfter_AndIsNeverTheSame()
    {
        var time = new FakeTimeProvider();
        var ids = new List<string>();
        for (int i = 0; i < 2000; i++)
        {
            ids.Add(Ids.New("use", time));
            time.Advance(TimeSpan.FromMilliseconds(7));
        }
        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
        Assert.Equal(2000, ids.Distinct().Count());
        Assert.Equal(5000, Enumerable.Range(0, 5000).Select(_ => Ids.New("use", time)).Distinct().Count());
    }

    [Fact]
    public void Of_TheSameTimeAndSeed_IsTheSame_AndOfOthersIsNot()
    {
        DateTimeOffset time = DateTimeOffset.FromUnixTimeMilliseconds(1_795_469_132_123);
        string id = Ids.Of("jrn", time, "ten_1\nkey");
        Assert.True(Ids.IsValid(id, "jrn"));
        Assert.Equal(id, Ids.Of("jrn", time, "ten_1\nkey"));
        Assert.Equal((1_795_469_132_123, 7, 2), ((long)(Value(id) >> 80), (int)((Value(id) >> 76) & 15), (int)((Value(id) >> 62) & 3)));
        Assert.Equal(4, new[] { id, Ids.Of("jrn", time, "ten_2\nkey"), Ids.Of("jrn", time.AddMilliseconds(1), "ten_1\nkey"), Ids.Of("jch", time, "ten_1\nkey").Replace("jch", "jrn", StringComparison.Ordinal) }.Distinct().Count());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1_795_469_132_123)]
    public void LowerBound_IsTheTimeAndNothingElse(long ms) =>
        Assert.Equal((BigInteger)ms << 80, Value(Ids.LowerBound("jrn", DateTimeOffset.FromUnixTimeMilliseconds(ms))));

    private static BigInteger Value(string id) => id[4..].Aggregate(BigInteger.Zero, (sum, c) => (sum << 5) + Alphabet.IndexOf(c, StringComparison.Ordinal));

    [Fact]
    public void TimeOf_AnId_IsWhenItWasMade()
    {
        var at = new DateTimeOffset(2026, 5, 6, 7, 8, 9, 10, TimeSpan.Zero);

        Assert.Equal(at, Ids.TimeOf(Ids.New("rql", at), "rql"));
        Assert.Equal(DateTimeOffset.MaxValue.ToUnixTimeMilliseconds(), Ids.TimeOf("rql_" + new string('z', 26), "rql").ToUnixTimeMilliseconds());
    }
}
